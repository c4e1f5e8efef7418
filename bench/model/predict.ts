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
 * at the rate of the bytes that its lanes have in flight (Little's law). Instructions: vector instructions per 16 bytes,
 * from the machine code, at the GPU's rate.
 */
export function predict(
  { kernel, bytes, workgroups, threads }: DispatchGroup,
  gpu: GpuModel,
): Prediction {
  const lanes = Math.min(workgroups * threads, gpu.lanes);
  const inFlight = expectedFigure('weightsInFlight', kernel, 'navi31') ?? ONE_LOAD;
  const per16 = expectedFigure('vectorPer16', kernel, gpu.family) ?? 0;
  const parts: readonly (readonly [Bound, number])[] = [
    ['launch', gpu.gap],
    ['memory', bytes / gpu.read / 1e3],
    ['latency', (bytes * gpu.latency) / (lanes * inFlight) / 1e3],
    ['instructions', ((bytes / 16) * per16) / gpu.instructions / 1e3],
  ];
  const [[bound], [, longest]] = [
    parts.reduce((a, b) => (b[1] > a[1] ? b : a)),
    parts.slice(1).reduce((a, b) => (b[1] > a[1] ? b : a)),
  ];
  return { microseconds: gpu.gap + longest, bound };
}
