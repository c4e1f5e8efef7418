import type { PipelineFigures } from './figures.ts';

/** The GPUs that `npm run isa` compiles for: AMD's Vega, RDNA 2, 3 and 4, Intel's Arc and Lunar Lake, NVIDIA's Ampere. */
export const FAMILIES: readonly Family[] = [
  'vega10',
  'navi21',
  'navi31',
  'gfx1201',
  'dg2',
  'lnl',
  'ampere',
];

type Family = 'vega10' | 'navi21' | 'navi31' | 'gfx1201' | 'dg2' | 'lnl' | 'ampere';
type Values = Readonly<Partial<Record<Family, number>>>;

/** A figure with a limit. */
export interface Limit {
  readonly figure: 'spills' | 'vectorPer16' | 'weightsInFlight' | 'waves';
  /** The kernels that it holds for. */
  readonly kernels: readonly string[] | 'all';
  /** Whether the figure must not be above the limit, or not below it. */
  readonly bound: 'at most' | 'at least';
  /** The limit for each family that has one. */
  readonly goal: Values;
  /** Where kernels miss the goal: what they reach today, which must not get worse. Remove it when they are within. */
  readonly today?: Values;
}

const EXPERTS = ['expert_swiglu', 'expert_out'];
const DENSE = ['linear', 'qkv', 'out'];
/** The kernels of one token that read weights. */
const MATVECS = [...EXPERTS, ...DENSE, 'router'];
const DECODE = [
  ...MATVECS,
  'rms_norm',
  'attend',
  'attend_reduce',
  'sample_strips',
  'sample_candidates',
  'sample',
];

// Bytes in flight and waves are limited on AMD only: NAK, Mesa's compiler for NVIDIA, orders loads worse than NVIDIA's own,
// and Intel's driver does not say how many waves fit.
const LIMITS: readonly Limit[] = [
  {
    figure: 'spills',
    kernels: 'all',
    bound: 'at most',
    goal: { vega10: 0, navi21: 0, navi31: 0, gfx1201: 0, dg2: 0, lnl: 0, ampere: 0 },
  },
  {
    figure: 'vectorPer16',
    kernels: EXPERTS,
    bound: 'at most',
    goal: { navi31: 130, dg2: 210, ampere: 210 },
  },
  {
    figure: 'vectorPer16',
    kernels: DENSE,
    bound: 'at most',
    goal: { navi31: 70, dg2: 85, ampere: 105 },
  },
  {
    figure: 'weightsInFlight',
    kernels: MATVECS,
    bound: 'at least',
    goal: { vega10: 32, navi21: 32, navi31: 32, gfx1201: 32 },
  },
  {
    figure: 'weightsInFlight',
    kernels: ['attend'],
    bound: 'at least',
    goal: { vega10: 64, navi21: 64, navi31: 64, gfx1201: 64 },
  },
  { figure: 'waves', kernels: DECODE, bound: 'at least', goal: { navi31: 8 } },
];

/** What a kernel's figure is on a family: today's value where it is known, otherwise the goal, if there is one. */
export function expectedFigure(
  figure: Limit['figure'],
  kernel: string,
  family: Family,
): number | undefined {
  const limit = LIMITS.find(
    (each) => each.figure === figure && each.kernels !== 'all' && each.kernels.includes(kernel),
  );
  return limit?.today?.[family] ?? limit?.goal[family];
}

/** What one family's figures say about limits: lines for people, one for each limit. */
export interface Verdict {
  /** Over a limit, or worse than today's value. */
  readonly exceeded: readonly string[];
  /** Short of a goal, but no worse than today's value. */
  readonly missed: readonly string[];
  /** Goals that need no value of today any more. */
  readonly reached: readonly string[];
}

/** Compares the figures of one family with their limits. */
export function checkLimits(
  family: string,
  pipelines: readonly PipelineFigures[],
  limits: readonly Limit[] = LIMITS,
): Verdict {
  const exceeded: string[] = [];
  const missed: string[] = [];
  const reached: string[] = [];
  const isThere = (kernel: string): boolean =>
    pipelines.some(({ pipeline }) => pipeline.split('/')[0] === kernel);
  for (const { figure, kernels, bound, goal, today } of limits) {
    const limit = goal[family as Family];
    if (limit === undefined) continue;
    const missing = kernels === 'all' ? [] : kernels.filter((kernel) => !isThere(kernel));
    if (missing.length > 0)
      exceeded.push(`limits.ts names kernels that are not there: ${missing.join(', ')}`);
    const known = today?.[family as Family];
    const values = pipelines.flatMap(({ pipeline, [figure]: value }) => {
      const [kernel = ''] = pipeline.split('/');
      const isLimited = kernels === 'all' || kernels.includes(kernel);
      return isLimited && value !== undefined ? [{ pipeline, value: Math.round(value) }] : [];
    });
    const beyond = (most: number): string[] =>
      values
        .filter(({ value }) => (bound === 'at most' ? value > most : value < most))
        .map(({ pipeline, value }) => `${pipeline} ${value}`);
    const title = `${family}, ${figure} ${bound} ${limit}`;
    const short = beyond(limit);
    const worse = known === undefined ? short : beyond(known);
    if (worse.length > 0) {
      const before = known === undefined ? '' : ` (${known} before)`;
      exceeded.push(`${title}${before}: ${worse.join(', ')}`);
    } else if (short.length > 0) missed.push(`${title}: ${short.join(', ')}`);
    else if (known !== undefined && values.length > 0) reached.push(title);
  }
  return { exceeded, missed, reached };
}
