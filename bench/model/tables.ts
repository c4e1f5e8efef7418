import { type DispatchGroup, planModel } from './dispatches.ts';
import { type Bound, GPUS, type GpuModel, predict } from './predict.ts';

/** Depths of the summary. */
const DEPTHS = [1, 1024, 4096, 16_384];

/** Lengths of prompts. */
const PROMPTS = [8, 64, 512, 4096];

/** Depth of the table of dispatches. */
const TABLE_DEPTH = 1024;

const SIGNS: Readonly<Record<Bound, string>> = {
  launch: '',
  memory: 'm',
  latency: 'l',
  instructions: 'i',
};

/** The generated part of docs/performance.md. */
export async function performanceTables(): Promise<string> {
  const plan = await planModel();
  const groups = plan.decode(TABLE_DEPTH);
  const gpus = GPUS.map(({ name }) => name);
  const rows = groups.map((group) => [
    `\`${group.kernel}\``,
    group.part,
    String(group.count),
    `${group.workgroups} × ${group.threads}`,
    megabytes(group.bytes),
    ...GPUS.map((gpu) => {
      const { microseconds, bound } = predict(group, gpu);
      return `${microseconds.toFixed(microseconds < 9.95 ? 1 : 0)}${SIGNS[bound]}`;
    }),
  ]);
  const depths = DEPTHS.map((depth) => {
    const all = plan.decode(depth);
    const single = sum(all, ({ count, workgroups }) => (workgroups === 1 ? count : 0));
    return [
      depth.toLocaleString('en'),
      String(dispatchesOf(all)),
      String(single),
      ...rates(all, 1),
    ];
  });
  const prompts = PROMPTS.map((tokens) => {
    const all = plan.prefill(tokens);
    return [tokens.toLocaleString('en'), String(dispatchesOf(all)), ...rates(all, tokens)];
  });
  return [
    `One token at a depth of ${TABLE_DEPTH.toLocaleString('en')}; times are *predicted*, in µs for one dispatch:`,
    markdown(['kernel', 'part', 'a token', 'workgroups', 'MB', ...gpus], rows),
    'By depth, with *predicted* tokens per second:',
    markdown(['depth', 'dispatches', 'of one workgroup', 'GB', ...gpus], depths),
    'A prompt and the choice of the token after it, in passes of 512, with *predicted* tokens of the prompt per second:',
    markdown(['tokens', 'dispatches', 'GB', ...gpus], prompts),
    'The GPUs of the model:',
    markdown(
      ['', ...gpus],
      [
        ['read, GB/s', ...GPUS.map(({ read }) => String(read))],
        ['lane-instructions a ns', ...GPUS.map((gpu) => gpu.instructions.toFixed(0))],
        ['lanes at a time', ...GPUS.map(({ lanes }) => lanes.toLocaleString('en'))],
        ['latency, ns', ...GPUS.map(({ latency }) => String(latency))],
        ['gap, µs', ...GPUS.map(({ gap }) => String(gap))],
        ['machine code of', ...GPUS.map(({ family }) => family)],
      ],
    ),
  ].join('\n\n');
}

function dispatchesOf(groups: readonly DispatchGroup[]): number {
  return sum(groups, ({ count }) => count);
}

/** Gigabytes read, and tokens per second on each GPU. */
function rates(groups: readonly DispatchGroup[], tokens: number): string[] {
  const microseconds = (gpu: GpuModel): number =>
    sum(groups, (group) => group.count * predict(group, gpu).microseconds);
  return [
    (sum(groups, ({ count, bytes }) => count * bytes) / 1e9).toFixed(2),
    ...GPUS.map((gpu) => ((1e6 * tokens) / microseconds(gpu)).toFixed(0)),
  ];
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 995_000 ? 3 : 1);
}

function markdown(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n');
}
