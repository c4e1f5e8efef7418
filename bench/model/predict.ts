import { expectedFigure } from '../isa/limits.ts';
import type { DispatchGroup } from './dispatches.ts';

/** A GPU, as far as a prediction needs it. */
export interface GpuModel {
  readonly name: string;
  /** GB/s that a kernel that only reads reaches: nine tenths of the data sheet's. */
  readonly read: number;
  /** Lane-instructions per nanosecond: lanes times clock in GHz. */
  readonly instructions: number;
  /** Lanes that it can hold at a time. */
  readonly lanes: number;
  /** Nanoseconds from a load to its data, under load. */
  readonly latency: number;
  /** Microseconds that a dispatch takes besides its work: launch, and the wait for the one before it. */
  readonly gap: number;
  /** The compiler whose machine code stands for its own. */
  readonly family: 'navi31' | 'dg2' | 'ampere';
}

/** From data sheets, except `latency` and `gap`, which are estimates. */
export const GPUS: readonly GpuModel[] = [
  {
    name: 'H200',
    read: 4300,
    instructions: 132 * 128 * 1.75,
    lanes: 132 * 2048,
    latency: 800,
    gap: 2,
    family: 'ampere',
  },
  {
    name: 'RTX 4090',
    read: 910,
    instructions: 128 * 128 * 2.5,
    lanes: 128 * 1536,
    latency: 600,
    gap: 2,
    family: 'ampere',
  },
  {
    name: 'RX 7900 XTX',
    read: 860,
    instructions: 192 * 32 * 2.3,
    lanes: 192 * 512,
    latency: 700,
    gap: 3,
    family: 'navi31',
  },
  {
    name: 'M4 Max',
    read: 490,
    instructions: 40 * 128 * 1.6,
    lanes: 40 * 1536,
    latency: 700,
    gap: 6,
    family: 'navi31',
  },
  {
    name: 'Arc A770',
    read: 500,
    instructions: 512 * 8 * 2.1,
    lanes: 512 * 128,
    latency: 900,
    gap: 5,
    family: 'dg2',
  },
  {
    name: 'Iris Xe',
    read: 60,
    instructions: 96 * 8 * 1.3,
    lanes: 96 * 112,
    latency: 500,
    gap: 5,
    family: 'dg2',
  },
];

/**
 * Vector instructions of a lane for each multiplication of tiles of many tokens, from the loops of `npm run isa -- --loops
 * tiled`, weights decoded: products of wide and narrow tiles differ by a tenth.
 */
const PER_MULTIPLICATION: Readonly<
  Record<GpuModel['family'], { readonly product: number; readonly attention: number }>
> = {
  navi31: { product: 1.2, attention: 1.3 },
  dg2: { product: 1.7, attention: 2.0 },
  ampere: { product: 1.6, attention: 2.6 },
};

/** Bytes that a lane of a kernel has in flight if nothing is known of it: one load. */
const ONE_LOAD = 16;

/** What limits a dispatch. */
export type Bound = 'launch' | 'latency' | 'memory' | 'instructions';

/** The predicted time of one dispatch, and what most of it goes to. */
export interface Prediction {
  readonly microseconds: number;
  readonly bound: Bound;
}

/**
 * Predicts a dispatch: the gap, and the longest of three times. Memory: its bytes at the GPU's bandwidth. Latency: its bytes
 * at the rate of the bytes that its lanes have in flight (Little's law). Instructions: see {@link instructionsOf}.
 */
export function predict(group: DispatchGroup, gpu: GpuModel): Prediction {
  const { bytes, workgroups, threads } = group;
  const lanes = Math.min(workgroups * threads, gpu.lanes);
  const inFlight = expectedFigure('weightsInFlight', ofOneToken(group), 'navi31') ?? ONE_LOAD;
  const parts: readonly (readonly [Bound, number])[] = [
    ['launch', gpu.gap],
    ['memory', bytes / gpu.read / 1e3],
    ['latency', (bytes * gpu.latency) / (lanes * inFlight) / 1e3],
    ['instructions', instructionsOf(group, gpu) / gpu.instructions / 1e3],
  ];
  const [[bound], [, longest]] = [
    parts.reduce((a, b) => (b[1] > a[1] ? b : a)),
    parts.slice(1).reduce((a, b) => (b[1] > a[1] ? b : a)),
  ];
  return { microseconds: gpu.gap + longest, bound };
}

/**
 * Vector instructions of all lanes, by the machine code: those that decode the weights, for each tile of tokens that reads
 * them, and, of many tokens, those that multiply.
 */
function instructionsOf(group: DispatchGroup, { family }: GpuModel): number {
  const { kernel, bytes, flops, reads } = group;
  const oneToken = ofOneToken(group);
  const per16 = expectedFigure('vectorPer16', oneToken, family) ?? 0;
  const each = PER_MULTIPLICATION[family][kernel === 'attend_tiled' ? 'attention' : 'product'];
  return (per16 * reads * bytes) / 16 + (oneToken === kernel ? 0 : (each * flops) / 2);
}

/** The kernel of one token that reads the same weights. */
function ofOneToken({ kernel }: DispatchGroup): string {
  return kernel.replace('_tiled', '');
}
