// npm run bench:gpu: see ../README.md.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { TOTALS_FILE, type Totals, totalsLine } from '../../scripts/totals.ts';
import { findModel } from '../checkpoint.ts';
import { buildPage, startChrome } from '../chrome-runtime.ts';
import { commitOf } from '../commit.ts';
import { startNode } from '../node-runtime.ts';
import { adapterName, formatTable, isSoftware, recordRows } from '../records.ts';
import type { SideRuntime } from '../side.ts';
import { FULL_RUN, type GpuReport, measureGpu } from './measure.ts';
import { kernelTable, rooflineSvg } from './roofline.ts';

const USAGE = `Measures this machine's GPU: a self-test, kernels against what memory can do, prefill and decode of gpt-oss-20b with weights
made on the GPU. Writes JSON and a plot, and takes at most 25 minutes.

  npm run bench:gpu -- [options]

  --runtime R       chrome or node; default: chrome, or node if Chrome can use no GPU
  --config NAME     20b, 120b, 20b-2layers, nano or tiny, or a folder with a config.json; default: 20b
  --layers N        most layers; default: all that fit on the GPU
  --prompt N,N      lengths to prefill; default: ${FULL_RUN.prompts.join(',')}
  --depth N,N       tokens before those that are decoded; default: ${FULL_RUN.depths.join(',')}
  --decode N        tokens to decode; default: ${FULL_RUN.decode}
  --minutes N       time for the measurements; what does not fit is skipped; default: 18
  --no-self-test    leave out the GPU tests of the kernels, which take at most 6 minutes
  --software        measure a software adapter: shows that the bench works
  --dawn-feature T  a Dawn toggle to turn on, in Node; may be repeated
  --out FOLDER      default: bench/results
  --page FOLDER     only build the page that does the same for any visitor: serve the folder with any static server`;

/** Time for the self-test: with the measurements and the start, 25 minutes. */
const SELF_TEST_LIMIT_MS = 6 * 60_000;

/** Dawn hides shader-f16 on NVIDIA's Linux driver otherwise. */
const NODE_FEATURES = ['vulkan_enable_f16_on_nvidia'];

/** Measures, prints tables, and writes the results. @throws Error if there is no GPU, or the self-test fails. */
export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean' },
      runtime: { type: 'string' },
      config: { type: 'string', default: '20b' },
      layers: { type: 'string' },
      prompt: { type: 'string', default: FULL_RUN.prompts.join(',') },
      depth: { type: 'string', default: FULL_RUN.depths.join(',') },
      decode: { type: 'string', default: String(FULL_RUN.decode) },
      minutes: { type: 'string', default: '18' },
      'no-self-test': { type: 'boolean', default: false },
      software: { type: 'boolean', default: false },
      'dawn-feature': { type: 'string', multiple: true, default: [] },
      out: { type: 'string', default: 'bench/results' },
      page: { type: 'string' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  if (values.page !== undefined) {
    await buildPage(process.cwd(), resolve(values.page), 'index.html');
    console.log(`Wrote ${values.page}`);
    return;
  }
  const { config } = await findModel(values.config);
  const runtime = await startRuntime(values.runtime, values.software, values['dawn-feature']);
  try {
    const side = await runtime.start(process.cwd());
    const { adapter } = side;
    const title = `${adapterName(adapter)}, ${runtime.name} ${runtime.version}`;
    console.log(title);
    if (isSoftware(adapter) && !values.software) {
      throw new Error('There is no GPU here. With --software, a software adapter is measured.');
    }
    const selfTest = values['no-self-test'] ? undefined : await testKernels(runtime.name);
    const measured = await measureGpu(
      side,
      {
        config,
        ...(values.layers !== undefined && { layers: Number(values.layers) }),
        minutes: Number(values.minutes),
        repeat: FULL_RUN.repeat,
        prompts: numbers(values.prompt),
        depths: numbers(values.depth),
        decode: Number(values.decode),
      },
      (text) => console.error(text),
    );
    const report: GpuReport & { readonly selfTest?: Totals } = {
      date: new Date().toISOString(),
      commit: commitOf(process.cwd()),
      command: `npm run bench:gpu -- ${args.join(' ')}`.trim(),
      runtime: `${runtime.name} ${runtime.version}`,
      system: `${process.platform} ${process.arch}`,
      isSoftware: isSoftware(adapter),
      config: values.config,
      ...(selfTest && { selfTest }),
      ...measured,
    };
    const { records, layers, configLayers, skipped } = measured;
    console.log(`\n${kernelTable(records)}\n`);
    const others = records.filter(({ unit }) => !['us', 'GB/s', 'GFLOP/s'].includes(unit));
    console.log(formatTable(['measurement', 'median', 'unit', 'range'], recordRows(others)));
    if (layers < configLayers) console.log(`\nMeasured with ${layers} of ${configLayers} layers.`);
    for (const line of skipped) console.log(`Skipped: ${line}`);

    await mkdir(values.out, { recursive: true });
    const name = `${slug(adapterName(adapter))}-${runtime.name}-${report.date.slice(0, 10)}`;
    const file = join(values.out, name);
    await writeFile(`${file}.json`, `${JSON.stringify(report, null, 1)}\n`);
    await writeFile(`${file}.svg`, rooflineSvg(`${title}, ${values.config}`, records));
    console.log(`\nWrote ${file}.json and ${file}.svg`);
    if (selfTest && selfTest.failed > 0) {
      throw new Error(`The self-test failed: ${totalsLine(selfTest)}. The speeds mean little.`);
    }
  } finally {
    await runtime.dispose();
  }
}

/** Chrome where it can use a GPU, else Node. */
async function startRuntime(
  name: string | undefined,
  software: boolean,
  features: readonly string[],
): Promise<SideRuntime> {
  const node = (): Promise<SideRuntime> => startNode([...NODE_FEATURES, ...features], []);
  if (name === 'node') return node();
  const chrome = await startChrome(software).catch((error: unknown) => {
    console.error(`Chrome cannot be used: ${error instanceof Error ? error.message : error}`);
    return undefined;
  });
  if (chrome && (name === 'chrome' || software || !(await isOnSoftware(chrome)))) return chrome;
  await chrome?.dispose();
  return node();
}

async function isOnSoftware(runtime: SideRuntime): Promise<boolean> {
  const side = await runtime.start(process.cwd());
  await side.close();
  return isSoftware(side.adapter);
}

/** Runs the GPU tests of the kernels, which compare them with float64 oracles, on the GPU that is measured. */
async function testKernels(runtime: SideRuntime['name']): Promise<Totals> {
  const folder = await mkdtemp(join(tmpdir(), 'ossicle-self-test-'));
  const file = join(folder, 'totals.json');
  const project = runtime === 'chrome' ? 'gpu' : 'dawn';
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', project];
  try {
    await new Promise<void>((resolve, reject) => {
      const child = spawn(process.execPath, [...args, 'packages/core/src/kernels'], {
        stdio: ['ignore', 'inherit', 'inherit'],
        timeout: SELF_TEST_LIMIT_MS,
        env: { ...process.env, OSSICLE_GPU: '1', [TOTALS_FILE]: file },
      });
      child.on('error', reject);
      child.on('exit', () => resolve());
    });
    const none: Totals = { passed: 0, failed: 1, skipped: 0, failures: ['no test ended in time'] };
    return await readFile(file, 'utf8').then(JSON.parse, () => none);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function numbers(list: string): number[] {
  return list.split(',').map(Number);
}

function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}
