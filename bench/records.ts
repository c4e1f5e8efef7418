import type { AdapterSummary } from '../packages/core/src/types/load.ts';
import type { Sample } from './stages/stage.ts';

/** Names of the sides of a comparison; without one, there is only A. */
export type SideName = 'A' | 'B';

/** One measurement of one side: a line of the JSON output. */
export interface BenchRecord {
  /** What was measured, as in `decode @128`. */
  readonly name: string;
  /** The median of the samples. */
  readonly value: number;
  /** The unit of `value`. */
  readonly unit: string;
  /** The smallest sample. */
  readonly min: number;
  /** The largest sample. */
  readonly max: number;
  /** In the order taken. */
  readonly samples: readonly number[];
  /** Which side, in a comparison. */
  readonly side?: SideName;
}

/** How two sides compare in one measurement, over samples taken alternately. */
export interface Ratio {
  /** What was measured. */
  readonly name: string;
  /** The median of B / A, pair by pair. */
  readonly ratio: number;
  /** A quarter of the pairs is below this. */
  readonly lowerQuartile: number;
  /** A quarter of the pairs is above this. */
  readonly upperQuartile: number;
  /** How many pairs. */
  readonly pairs: number;
}

/** The middle value, or the mean of the middle two. @throws RangeError if there are no values. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * The value that a fraction of the values does not exceed, interpolated between neighbours.
 *
 * @param fraction - In [0, 1].
 * @throws RangeError if there are no values.
 */
export function quantile(values: readonly number[], fraction: number): number {
  if (values.length === 0) throw new RangeError('There is no quantile of no values');
  const sorted = [...values].sort((a, b) => a - b);
  const place = fraction * (sorted.length - 1);
  const lower = sorted[Math.floor(place)] as number;
  const upper = sorted[Math.ceil(place)] as number;
  return lower + (upper - lower) * (place - Math.floor(place));
}

/** Collects the samples of one side by name, in the order of first appearance. */
export class SampleLog {
  readonly #samples = new Map<string, { unit: string; values: number[] }>();

  /** Adds samples. @throws Error if a value is not finite, or its unit differs from that of earlier samples. */
  add(samples: readonly Sample[]): void {
    for (const { name, value, unit } of samples) {
      if (!Number.isFinite(value)) throw new Error(`${name} came out as ${value} ${unit}`);
      const entry = this.#samples.get(name) ?? { unit, values: [] };
      if (entry.unit !== unit) throw new Error(`${name} is in ${unit} after ${entry.unit}`);
      entry.values.push(value);
      this.#samples.set(name, entry);
    }
  }

  /** One record for each name. */
  records(side?: SideName): BenchRecord[] {
    return [...this.#samples].map(([name, { unit, values }]) => ({
      name,
      value: median(values),
      unit,
      min: Math.min(...values),
      max: Math.max(...values),
      samples: values,
      ...(side && { side }),
    }));
  }
}

/** Compares B with A in each measurement that both took equally often, more than once, and that is above zero in A. */
export function compare(a: readonly BenchRecord[], b: readonly BenchRecord[]): Ratio[] {
  return a.flatMap(({ name, samples }) => {
    const others = b.find((record) => record.name === name)?.samples;
    if (samples.length < 2 || others?.length !== samples.length) return [];
    if (samples.some((value) => value <= 0)) return [];
    const ratios = samples.map((value, i) => (others[i] as number) / value);
    return [
      {
        name,
        ratio: median(ratios),
        lowerQuartile: quantile(ratios, 0.25),
        upperQuartile: quantile(ratios, 0.75),
        pairs: ratios.length,
      },
    ];
  });
}

/** Rows of text: name, median, unit, range. */
export function recordRows(records: readonly BenchRecord[]): string[][] {
  return records.map(({ name, value, unit, min, max, samples }) => [
    name,
    formatNumber(value),
    unit,
    samples.length > 1 ? `${formatNumber(min)} .. ${formatNumber(max)}` : '',
  ]);
}

/** Suffixes of the records of a kernel's rates; the record without a suffix is its time. */
export const RATE_SUFFIXES = { read: ': read', math: ': math' } as const;

/** Rows of text for kernels, with time and rates side by side: name, us, range of us, GB/s, GFLOP/s. */
export function kernelRows(records: readonly BenchRecord[]): string[][] {
  const byName = new Map(records.map((record) => [record.name, record]));
  const suffixes = Object.values(RATE_SUFFIXES);
  return records
    .filter(({ name }) => !suffixes.some((suffix) => name.endsWith(suffix)))
    .map(({ name, value, min, max }) => [
      name,
      formatNumber(value),
      `${formatNumber(min)} .. ${formatNumber(max)}`,
      ...suffixes.map((suffix) => {
        const rate = byName.get(name + suffix)?.value;
        return rate === undefined ? '' : formatNumber(rate);
      }),
    ]);
}

/** Rows of text: name, ratio, middle half, number of pairs. */
export function ratioRows(ratios: readonly Ratio[]): string[][] {
  return ratios.map(({ name, ratio, lowerQuartile, upperQuartile, pairs }) => [
    name,
    ratio.toFixed(3),
    `${lowerQuartile.toFixed(3)} .. ${upperQuartile.toFixed(3)}`,
    String(pairs),
  ]);
}

/** A table of text: columns of numbers are aligned to the right, others to the left. */
export function formatTable(header: readonly string[], rows: readonly string[][]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const isNumeric = header.map((_, column) =>
    rows.every((row) => /^[\d.,e+ -]*$/.test(row[column] ?? '')),
  );
  const line = (cells: readonly string[]): string =>
    widths
      .map((width, column) => {
        const cell = cells[column] ?? '';
        return isNumeric[column] ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [
    line(header),
    widths.map((width) => '-'.repeat(width)).join('  '),
    ...rows.map(line),
  ].join('\n');
}

/** Formats a number with four significant digits, whole numbers in full. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value)) return String(value);
  const magnitude = Math.abs(value);
  if (magnitude >= 1e7 || magnitude < 1e-3) return value.toExponential(3);
  return value.toFixed(Math.max(0, 3 - Math.floor(Math.log10(magnitude))));
}

/** A name for people. */
export function adapterName({ vendor, architecture, description }: AdapterSummary): string {
  return description || [vendor, architecture].filter((part) => part !== '').join(' ') || 'a GPU';
}

/** Whether the adapter computes on the CPU. */
export function isSoftware({ vendor, architecture, description }: AdapterSummary): boolean {
  return /swiftshader|llvmpipe|lavapipe|software|basic render/i.test(
    `${vendor} ${architecture} ${description}`,
  );
}
