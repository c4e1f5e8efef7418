// npm run bench: see README.md for the method.
import { appendFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type BenchModel, findModel } from './checkpoint.ts';
import { startChrome } from './chrome-runtime.ts';
import { commitOf } from './commit.ts';
import { benchDownload } from './download.ts';
import { startNode } from './node-runtime.ts';
import { type BenchOptions, parseBenchOptions, type SideOptions, USAGE } from './options.ts';
import {
  adapterName,
  type BenchRecord,
  compare,
  formatTable,
  isSoftware,
  kernelRows,
  ratioRows,
  recordRows,
} from './records.ts';
import { type RoundSide, runRounds, sideName } from './rounds.ts';
import type { Side, SideRuntime } from './side.ts';
import type { StageName, StageOptions } from './stages/stage.ts';

/** The engine's default context length. */
const DEFAULT_CONTEXT = 8192;

/**
 * Measures, prints tables, and appends JSON lines.
 *
 * @throws TypeError or RangeError on wrong options; Error if a runtime has no adapter or results are wrong.
 */
export async function main(args: readonly string[]): Promise<void> {
  if (args[0] === 'download') return benchDownload(args.slice(1));
  if (args.includes('--help')) {
    console.log(USAGE);
    return;
  }
  const options = parseBenchOptions(args);
  const model = await findModel(options.config);
  for (const name of options.runtimes) {
    const runtime =
      name === 'chrome'
        ? await startChrome(options.software)
        : await startNode(options.dawnFeatures, options.dawnFlags);
    try {
      await runOn(runtime, model, options);
    } finally {
      await runtime.dispose();
    }
  }
}

async function runOn(
  runtime: SideRuntime,
  model: BenchModel,
  options: BenchOptions,
): Promise<void> {
  const here = process.cwd();
  const checkouts = options.sides.map((_, i) =>
    i === 1 && options.against !== undefined ? resolve(options.against) : here,
  );
  const commits = checkouts.map(commitOf);
  const sides: Side[] = [];
  for (const checkout of checkouts) sides.push(await runtime.start(checkout));
  const { adapter } = sides[0] as Side;
  const title = `${runtime.name} ${runtime.version}, ${adapterName(adapter)}, ${options.config}`;
  for (const stage of options.stages) {
    const isLoaded = stage === 'end-to-end';
    const checkpoint = isLoaded ? await model.checkpoint() : undefined;
    const roundSides = sides.map(
      (side, i): RoundSide => ({
        side,
        options: stageOptions(
          options,
          options.sides[i] as SideOptions,
          model,
          runtime.hasStore && sides.length === 1,
        ),
        ...(checkpoint !== undefined && { checkpoint }),
      }),
    );
    const records = await runRounds(stage, roundSides, options.repeat, showProgress);
    showProgress('');
    print(`${title}, ${stage}`, stage, records);
    if (isSoftware(adapter)) console.log('\nA software adapter: only ratios mean anything.');
    const lines = records.map((record) => {
      const i = record.side === 'B' ? 1 : 0;
      return JSON.stringify({
        ...record,
        stage,
        runtime: `${runtime.name} ${runtime.version}`,
        adapter,
        isSoftwareAdapter: isSoftware(adapter),
        date: new Date().toISOString(),
        commit: commits[i],
        config: options.config,
        options: roundSides[i]?.options && withoutConfig(roundSides[i].options),
        command: options.commandLine,
      });
    });
    if (options.json !== undefined) await appendFile(options.json, `${lines.join('\n')}\n`);
  }
}

function stageOptions(
  { prompts, depths, decode, temperature, store }: BenchOptions,
  { dense, kvCache, context, chunk }: SideOptions,
  { config }: BenchModel,
  hasStore: boolean,
): StageOptions {
  const most = Number(config.max_position_embeddings ?? Infinity);
  const needed = Math.max(...prompts, Math.max(...depths) + decode, chunk) + 1;
  return {
    config,
    dense,
    ...(kvCache && { kvCache }),
    chunk,
    context: context ?? Math.max(needed, Math.min(DEFAULT_CONTEXT, most)),
    prompts,
    depths,
    decode,
    temperature,
    store: store && hasStore,
  };
}

function withoutConfig({ config: _, ...rest }: StageOptions): Omit<StageOptions, 'config'> {
  return rest;
}

function print(title: string, stage: StageName, records: readonly BenchRecord[]): void {
  const table = (part: readonly BenchRecord[]): string =>
    stage === 'kernels'
      ? formatTable(['kernel', 'us', 'range', 'GB/s', 'GFLOP/s'], kernelRows(part))
      : formatTable(['measurement', 'median', 'unit', 'range'], recordRows(part));
  const a = records.filter(({ side }) => side !== 'B');
  const b = records.filter(({ side }) => side === 'B');
  for (const [i, part] of [a, b].entries()) {
    if (part.length === 0) continue;
    console.log(`\n${title}${b.length > 0 ? `, side ${sideName(i)}` : ''}`);
    console.log(table(part));
  }
  if (b.length === 0) return;
  console.log(`\n${title}, B / A`);
  console.log(
    formatTable(['measurement', 'ratio', 'middle half', 'pairs'], ratioRows(compare(a, b))),
  );
}

/** Updates one line of a terminal. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
