import { type DispatchGroup, planDecode } from './dispatches.ts';
import { type Bound, GPUS, type GpuModel, predict } from './predict.ts';

/** Depths of the summary. */
const DEPTHS = [1, 1024, 4096, 16_384];

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
  const groups = await planDecode(TABLE_DEPTH);
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
  const summary = await Promise.all(
    DEPTHS.map(async (depth) => {
      const all = await planDecode(depth);
      return [
        depth.toLocaleString('en'),
        String(sum(all, ({ count }) => count)),
        String(sum(all, ({ count, workgroups }) => (workgroups === 1 ? count : 0))),
        (sum(all, ({ count, bytes }) => count * bytes) / 1e9).toFixed(2),
        ...GPUS.map((gpu) => (1e6 / tokenMicroseconds(all, gpu)).toFixed(0)),
      ];
    }),
  );
  return [
    `One token at a depth of ${TABLE_DEPTH.toLocaleString('en')}; times are *predicted*, in µs for one dispatch:`,
    markdown(['kernel', 'part', 'a token', 'workgroups', 'MB', ...gpus], rows),
    'By depth, with *predicted* tokens per second:',
    markdown(['depth', 'dispatches', 'of one workgroup', 'GB', ...gpus], summary),
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

function tokenMicroseconds(groups: readonly DispatchGroup[], gpu: GpuModel): number {
  return sum(groups, (group) => group.count * predict(group, gpu).microseconds);
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
