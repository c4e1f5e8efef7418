import type { Sample } from './stage.ts';

/** How the sides of a comparison are called; without one there is only A. */
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

/** How two sides compare in one measurement, over samples taken in turn. */
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

/** The middle value; the mean of the two in the middle where their number is even. @throws RangeError where there is none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * The value that a part of the values does not exceed, interpolated between neighbours.
 *
 * @param part - In [0, 1].
 * @throws RangeError where there is no value.
 */
export function quantile(values: readonly number[], part: number): number {
  if (values.length === 0) throw new RangeError('There is no quantile of no values');
  const sorted = [...values].sort((a, b) => a - b);
  const place = part * (sorted.length - 1);
  const lower = sorted[Math.floor(place)] as number;
  const upper = sorted[Math.ceil(place)] as number;
  return lower + (upper - lower) * (place - Math.floor(place));
}

/** Samples as they come, of one side, kept by name in the order of first appearance. */
export class SampleLog {
  readonly #samples = new Map<string, { unit: string; values: number[] }>();

  /** Adds samples. @throws Error where a value is no number, or its unit another than before. */
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

/** B against A, in every measurement that both have as often, and more than once, and that is above zero in A. */
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

/** Records as rows of text. */
export function recordRows(records: readonly BenchRecord[]): string[][] {
  return records.map(({ name, value, unit, min, max, samples }) => [
    name,
    formatNumber(value),
    unit,
    samples.length > 1 ? `${formatNumber(min)} .. ${formatNumber(max)}` : '',
  ]);
}

/** What follows a kernel's name in the name of its rates; without it, the record is the kernel's time. */
export const RATE_SUFFIXES = { read: ': read', math: ': math' } as const;

/** Records of kernels as rows of text, time and rates side by side: name, us, range of us, GB/s, GFLOP/s. */
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

/** Ratios as rows of text. */
export function ratioRows(ratios: readonly Ratio[]): string[][] {
  return ratios.map(({ name, ratio, lowerQuartile, upperQuartile, pairs }) => [
    name,
    ratio.toFixed(3),
    `${lowerQuartile.toFixed(3)} .. ${upperQuartile.toFixed(3)}`,
    String(pairs),
  ]);
}

/** A table of text: the first column to the left, and words; numbers to the right. */
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

/** Four significant digits; whole numbers whole. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value)) return String(value);
  const magnitude = Math.abs(value);
  if (magnitude >= 1e7 || magnitude < 1e-3) return value.toExponential(3);
  return value.toFixed(Math.max(0, 3 - Math.floor(Math.log10(magnitude))));
}
