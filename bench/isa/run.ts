// npm run isa: see README.md.
import { parseArgs } from 'node:util';
import { PRESETS, type PresetName } from '../../packages/core/test/config.ts';
import { type CompileOptions, compile } from './compile.ts';
import { compileFor } from './drivers.ts';
import { type PipelineFigures, pipelineFigures } from './figures.ts';
import { checkLimits, FAMILIES } from './limits.ts';
import { loopTable, overview, pipelineTable } from './tables.ts';

const USAGE = `Compiles every kernel to the machine code of GPUs that are not here, and compares it with limits.

  npm run isa -- [options] [part of a pipeline's name]

  --family F,F          default: ${FAMILIES.join(',')}; also navi33, gfx1151, renoir, mtl, tgl, turing...
  --loops               tables of pipelines and loops; also with part of a name
  --assembly, --nir     machine code, or Mesa's intermediate code, too
  --json                one line of JSON for each pipeline
  --config NAME         ${Object.keys(PRESETS).join(', ')}; default: 20b
  --dense F             int8 or bf16;   --kv-cache F   int8, f16 or f32
  --prefill F           float or int8
  --without FEATURE     compile the variants for devices without it; may be repeated
  --wgsl FILE           compile this file instead; several are joined
  --set NAME=NUMBER     an override of it; may be repeated
  --robustness R        driver: bounds checks by the driver, as Chrome has them on Vulkan; shader: by clamped indexes, as
                        elsewhere; off: none, the default on NVIDIA`;

/** Prints tables. @throws Error if a limit is exceeded, or something does not compile. */
export async function main(args: readonly string[]): Promise<void> {
  if (args[0] === 'compile') return compile(JSON.parse(args[1] as string));
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean' },
      family: { type: 'string', default: FAMILIES.join(',') },
      loops: { type: 'boolean' },
      assembly: { type: 'boolean' },
      nir: { type: 'boolean' },
      json: { type: 'boolean' },
      config: { type: 'string', default: '20b' },
      dense: { type: 'string', default: 'int8' },
      'kv-cache': { type: 'string', default: 'f16' },
      prefill: { type: 'string', default: 'float' },
      without: { type: 'string', multiple: true, default: [] },
      wgsl: { type: 'string', multiple: true, default: [] },
      set: { type: 'string', multiple: true, default: [] },
      robustness: { type: 'string', default: 'driver' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const options: CompileOptions = {
    config: values.config as PresetName,
    dense: values.dense as CompileOptions['dense'],
    kvCache: values['kv-cache'] as CompileOptions['kvCache'],
    prefill: values.prefill as CompileOptions['prefill'],
    without: values.without,
    wgsl: values.wgsl,
    constants: Object.fromEntries(
      values.set.map((pair) => pair.split('=')).map(([name, value]) => [name, Number(value)]),
    ),
    toggles: {
      enable: values.robustness === 'off' ? ['disable_robustness'] : [],
      disable: values.robustness === 'shader' ? ['vulkan_use_buffer_robust_access_2'] : [],
    },
  };
  const [part = ''] = positionals;
  const byFamily = new Map<string, PipelineFigures[]>();
  for (const family of values.family.split(',')) {
    const figures = (await compileFor(family, options)).map(pipelineFigures);
    const chosen = figures.filter(({ pipeline }) => pipeline.includes(part));
    if (chosen.length === 0) {
      const names = figures.map(({ pipeline }) => pipeline).join(', ');
      throw new Error(`No pipeline has '${part}' in its name; there are ${names}`);
    }
    byFamily.set(family, chosen);
  }
  const isWhole = part === '' && values.wgsl.length === 0;
  for (const [family, pipelines] of byFamily) {
    if (values.json) console.log(toJsonLines(family, pipelines));
    else if (values.loops || !isWhole) {
      console.log(`\n${family}: ${pipelines[0]?.device}\n\n${pipelineTable(pipelines)}`);
      console.log(`\n${loopTable(pipelines)}`);
    }
    for (const { pipeline, assembly, nir } of pipelines) {
      if (values.assembly) console.log(`\n# ${pipeline}\n\n${assembly}`);
      if (values.nir) console.log(`\n# ${pipeline}\n\n${nir}`);
    }
  }
  if (values.json || !isWhole) return;
  console.log(
    `\n${overview(byFamily)}\n\nVector instructions per 16 bytes of weights; bytes of weights in flight per lane;` +
      '\nw: waves per SIMD (AMD) or scheduler (NVIDIA).',
  );
  reportLimits(byFamily);
}

function reportLimits(byFamily: ReadonlyMap<string, readonly PipelineFigures[]>): void {
  const verdicts = [...byFamily].map(([family, pipelines]) => checkLimits(family, pipelines));
  const print = (title: string, lines: readonly string[]): void => {
    if (lines.length > 0) console.log(`\n${title}:\n${lines.join('\n')}`);
  };
  print(
    'Short of the goal, but no worse than before',
    verdicts.flatMap(({ missed }) => missed),
  );
  print(
    "Reached: remove today's value from limits.ts",
    verdicts.flatMap(({ reached }) => reached),
  );
  const exceeded = verdicts.flatMap((verdict) => verdict.exceeded);
  if (exceeded.length > 0) throw new Error(`\nOver the limits:\n${exceeded.join('\n')}`);
}

function toJsonLines(family: string, pipelines: readonly PipelineFigures[]): string {
  const plain = (_: string, value: unknown): unknown =>
    value instanceof Map ? Object.fromEntries(value) : value;
  return pipelines
    .map(({ assembly: _, nir: __, ...figures }) => JSON.stringify({ family, ...figures }, plain))
    .join('\n');
}
