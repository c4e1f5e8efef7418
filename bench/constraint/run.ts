// npm run bench:constraint: see ../README.md.
import { parseArgs } from 'node:util';
import { findModel } from '../checkpoint.ts';
import { importSource, startNode } from '../node-runtime.ts';
import { count } from '../options.ts';
import { formatTable, median } from '../records.ts';
import type * as measure from './measure.ts';

const USAGE = `Measures what a grammar costs a token, with the vocabulary of gpt-oss and weights made on the GPU, in Node on Dawn.

  npm run bench:constraint -- [options]

  --config NAME     a preset or a folder with a config.json, of 201,088 tokens; default: 20b-2layers
  --decode N        tokens of an answer; default: 32
  --repeat N        rounds, after one that is not counted; default: 3`;

/** Measures, and prints a table. @throws Error if Dawn finds no adapter. */
export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean' },
      config: { type: 'string', default: '20b-2layers' },
      decode: { type: 'string', default: '32' },
      repeat: { type: 'string', default: '3' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const decode = count('--decode', values.decode);
  const repeat = count('--repeat', values.repeat);
  const { config } = await findModel(values.config);
  await startNode([], []);
  const { ConstraintBench } = await importSource<typeof measure>(
    process.cwd(),
    'bench/constraint/measure.ts',
  );
  const bench = await ConstraintBench.open(config, decode);
  const rounds: measure.ConstraintSample[][] = [];
  for (let round = 0; round <= repeat; round++) {
    const samples = await bench.round(round);
    if (round > 0) rounds.push(samples);
  }
  bench.dispose();
  const numbers = (
    i: number,
    of: (sample: measure.ConstraintSample, all: measure.ConstraintSample[]) => number,
  ) => median(rounds.map((all) => of(all[i] as measure.ConstraintSample, all))).toFixed(2);
  const rows = (rounds[0] ?? []).map(({ name }, i) => [
    name,
    numbers(i, ({ stepMs }) => stepMs),
    numbers(i, ({ stepMs }, [pipelined]) => stepMs / pipelined!.stepMs),
    numbers(i, ({ stepMs }, [, stepwise]) => stepMs / stepwise!.stepMs),
    numbers(i, ({ guideMs }) => guideMs),
    numbers(i, ({ masks }) => masks),
    numbers(i, ({ forced }) => forced),
  ]);
  const header = [
    'answer',
    'ms a step',
    '/ pipelined',
    '/ stepwise',
    'guide ms',
    'new masks',
    'forced',
  ];
  console.log(
    `${bench.adapter}, ${values.config}; first mask of the model: ${bench.firstMaskMs.toFixed(0)} ms`,
  );
  console.log(formatTable(header, rows));
}
