import { type BenchRecord, formatNumber, formatTable, RATE_SUFFIXES } from '../records.ts';

/** A kernel on the plot. */
interface Point {
  readonly name: string;
  readonly microseconds: number;
  /** GB/s of bytes that must be read. */
  readonly read: number;
  /** GFLOP/s. */
  readonly math: number;
}

/** What the adapter can do at most. */
interface Ceilings {
  readonly read: number;
  readonly math: number;
}

const WIDTH = 900;
const HEIGHT = 560;
const MARGIN = { left: 70, right: 230, top: 50, bottom: 50 };

/**
 * A roofline plot: arithmetic per byte from left to right, arithmetic per second upwards, both logarithmic. The roof is
 * what the read and the math kernels reached.
 *
 * @returns SVG; empty if the ceilings were not measured.
 */
export function rooflineSvg(title: string, records: readonly BenchRecord[]): string {
  const ceilings = ceilingsOf(records);
  const points = pointsOf(records);
  if (!ceilings || points.length === 0) return '';
  const intensities = points.map(({ math, read }) => math / read);
  const ridge = ceilings.math / ceilings.read;
  const x = logScale(
    [Math.min(...intensities, ridge) / 2, Math.max(...intensities, ridge) * 4],
    [MARGIN.left, WIDTH - MARGIN.right],
  );
  const lowest = Math.min(...points.map(({ math }) => math)) / 2;
  const y = logScale([lowest, ceilings.math * 2], [HEIGHT - MARGIN.bottom, MARGIN.top]);
  const roof = [x.domain[0], ridge, x.domain[1]].map((intensity) => {
    const height = Math.min(ceilings.math, intensity * ceilings.read);
    return `${round(x.at(intensity))},${round(Math.min(HEIGHT - MARGIN.bottom, y.at(height)))}`;
  });
  const marks = points.map(({ name, math, read }, i) => {
    const [cx, cy] = [round(x.at(math / read)), round(y.at(math))];
    const label = `<text x="${WIDTH - MARGIN.right + 12}" y="${MARGIN.top + 16 * i + 4}">${i + 1} ${escapeXml(name)}</text>`;
    return (
      `<circle cx="${cx}" cy="${cy}" r="4"/>` +
      `<text x="${cx + 6}" y="${cy - 4}">${i + 1}</text>${label}`
    );
  });
  const [left, bottom] = [MARGIN.left, HEIGHT - MARGIN.bottom];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${left}" y="24" font-size="14">${escapeXml(title)}</text>`,
    `<text x="${left}" y="40">roof: ${formatNumber(ceilings.read)} GB/s, ${formatNumber(ceilings.math)} GFLOP/s</text>`,
    ...ticks(x.domain).map(
      (value) =>
        `<text x="${round(x.at(value))}" y="${bottom + 16}" text-anchor="middle">${value}</text>`,
    ),
    ...ticks(y.domain).map(
      (value) =>
        `<text x="${left - 6}" y="${round(y.at(value)) + 4}" text-anchor="end">${value}</text>`,
    ),
    `<text x="${left}" y="${bottom + 34}">FLOP per byte; upwards: GFLOP/s</text>`,
    `<path d="M${left} ${MARGIN.top}V${bottom}H${WIDTH - MARGIN.right}" fill="none" stroke="#888"/>`,
    `<polyline points="${roof.join(' ')}" fill="none" stroke="#c33" stroke-width="2"/>`,
    `<g fill="#246">${marks.join('')}</g>`,
    '</svg>',
  ].join('\n');
}

/** Rows of text: each kernel's time and rates, and its share of the roof above it. */
export function kernelTable(records: readonly BenchRecord[]): string {
  const ceilings = ceilingsOf(records);
  return formatTable(
    ['kernel', 'us', 'GB/s', 'GFLOP/s', '% of the roof'],
    pointsOf(records).map(({ name, microseconds, read, math }) => {
      const roof = ceilings ? Math.min(ceilings.math, (ceilings.read * math) / read) : 0;
      const share = roof > 0 ? ((100 * math) / roof).toFixed(0) : '';
      return [name, ...[microseconds, read, math].map(formatNumber), share];
    }),
  );
}

function ceilingsOf(records: readonly BenchRecord[]): Ceilings | undefined {
  const read = measured(records, `memory read${RATE_SUFFIXES.read}`);
  const math = measured(records, `math f32${RATE_SUFFIXES.math}`);
  return read === undefined || math === undefined ? undefined : { read, math };
}

/** Kernels that both read and compute. */
function pointsOf(records: readonly BenchRecord[]): Point[] {
  return records.flatMap(({ name, value, unit }) => {
    const read = measured(records, name + RATE_SUFFIXES.read);
    const math = measured(records, name + RATE_SUFFIXES.math);
    if (unit !== 'us' || read === undefined || math === undefined) return [];
    return [{ name, microseconds: value, read, math }];
  });
}

function measured(records: readonly BenchRecord[], name: string): number | undefined {
  return records.find((record) => record.name === name)?.value;
}

interface Scale {
  readonly domain: readonly [number, number];
  at(value: number): number;
}

function logScale(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const [low, high] = domain.map(Math.log10) as [number, number];
  const [from, to] = range;
  return { domain, at: (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from) };
}

/** Powers of ten inside a domain. */
function ticks([low, high]: readonly [number, number]): number[] {
  const first = Math.ceil(Math.log10(low));
  const last = Math.floor(Math.log10(high));
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => 10 ** (first + i));
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
