import { expect } from 'vitest';
import { maskOf } from '../src/engine/constraint/constraint.ts';
import { Kernel } from '../src/gpu/kernel.ts';
import { encode } from '../src/gpu/recorder.ts';
import { kernelSource } from '../src/kernels/shaders.ts';
import { STRIP, samplingBytes } from '../src/kernels/shape.ts';
import type { TestGpu } from './gpu.ts';
import { outputBuffer, outputWords, stepBuffer, uniformBuffer } from './kernel-inputs.ts';
import type { LogitChanges, SamplingOptions } from './oracles.ts';
import { createRandom } from './random.ts';

/** Draws of tokens from the same logits. */
export interface Draw extends SamplingOptions {
  readonly logits: Float64Array;
  /** Tokens to draw, each one position after the last. Default: 1. */
  readonly count?: number;
  readonly seed?: readonly [low: number, high: number];
  readonly changes?: LogitChanges;
  /** The ids that may be drawn. Default: all. */
  readonly allowed?: readonly number[];
  /** The step before the first draw. Default: position 0, 1 token. */
  readonly step?: readonly [position: number, tokens: number, outputRow: number];
}

/** What they leave behind. */
export interface Drawn {
  readonly tokens: Uint32Array;
  /** The step after the draws. */
  readonly step: readonly number[];
  /** i32 [vocabulary], after the draws. */
  readonly occurrences: Int32Array;
  readonly logits: Float32Array;
}

/** Draws tokens. */
export type Sampler = (draw: Draw) => Promise<Drawn>;

/** Compiles the sampling kernels. */
export async function compileSampler(gpu: TestGpu, vocabulary: number): Promise<Sampler> {
  const constants = { VOCABULARY: vocabulary };
  const [stripsKernel, candidatesKernel, sampleKernel] = await Promise.all([
    Kernel.compile(gpu.gpu, kernelSource('sample_strips', { constants })),
    Kernel.compile(gpu.gpu, kernelSource('sample_candidates', { constants })),
    Kernel.compile(gpu.gpu, kernelSource('sample', { constants })),
  ]);
  const grid = [Math.ceil(vocabulary / STRIP)] as const;
  return async (draw) => {
    const { count = 1, seed = [1, 0], step: [position, tokens, outputRow] = [0, 1, 0] } = draw;
    const words = new Uint32Array(12);
    const { temperature, topP = 1, minP = 0, topK = 0, changes, allowed } = draw;
    const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = changes ?? {};
    new Float32Array(words.buffer).set([temperature, topP, minP, repetitionPenalty]);
    words.set([topK, ...seed], 4);
    new Float32Array(words.buffer).set([presencePenalty, frequencyPenalty], 7);
    words.set([changes ? 1 : 0, allowed ? 1 : 0], 9);

    const sampling = uniformBuffer(gpu, words);
    const logits = outputBuffer(gpu, vocabulary, draw.logits);
    const adjustments = gpu.upload(new Uint32Array(adjustmentsOf(vocabulary, changes).buffer));
    const mask = gpu.upload(maskOf(allowed ?? [], vocabulary));
    const step = stepBuffer(gpu, position, tokens, outputRow);
    const next = outputBuffer(gpu, 1);
    const results = outputBuffer(gpu, count);
    const bytes = samplingBytes(vocabulary);
    const zeros = (sizeBytes: number): GPUBuffer =>
      outputBuffer(gpu, sizeBytes / 4, new Float32Array(sizeBytes / 4));
    const strips = outputBuffer(gpu, bytes.strips / 4);
    const found = zeros(bytes.found);
    const groups = zeros(bytes.groups);
    const shared = { sampling, logits, step, strips, found, groups };
    const dispatches = [
      stripsKernel.dispatch('sample', { ...shared, adjustments, mask }, grid),
      candidatesKernel.dispatch('sample', shared, grid),
      sampleKernel.dispatch('sample', { ...shared, tokens: next, adjustments }, [1]),
    ];
    const encoder = gpu.gpu.device.createCommandEncoder();
    for (let i = 0; i < count; i++) {
      encode(encoder, dispatches);
      encoder.copyBufferToBuffer(next, 0, results, 4 * i, 4);
    }
    gpu.gpu.device.queue.submit([encoder.finish()]);
    await outputWords(gpu, strips);
    expect([...(await outputWords(gpu, found)).subarray(0, 4)], 'what the next step finds').toEqual(
      [0, 0, 0, 0],
    );
    expect(Math.max(...(await outputWords(gpu, groups)))).toBe(0);
    const adjusted = new Int32Array((await gpu.words(adjustments)).slice().buffer);
    return {
      tokens: await outputWords(gpu, results),
      step: [...(await gpu.words(step, 3))],
      occurrences: adjusted.filter((_, i) => i % 2 === 1),
      logits: new Float32Array((await outputWords(gpu, logits)).slice().buffer),
    };
  };
}

/** What the kernels read; NaN if they must not read it. */
function adjustmentsOf(
  vocabulary: number,
  changes: LogitChanges | undefined,
): Float32Array<ArrayBuffer> {
  const biases = new Float32Array(2 * vocabulary);
  if (!changes) return biases.fill(Number.NaN);
  const occurrences = new Int32Array(biases.buffer);
  const { prompt = [], answer = [], exempt = [], logitBias = [] } = changes;
  for (const [id, bias] of logitBias) biases[2 * id] = bias;
  for (const id of exempt) occurrences[2 * id + 1] = -(2 ** 31);
  for (const id of prompt) occurrences[2 * id + 1]! |= 1;
  for (const id of answer) occurrences[2 * id + 1] = (occurrences[2 * id + 1]! + 2) | 1;
  return biases;
}

/** Normally distributed logits. */
export function normalLogits(length: number, seed: number, spread = 2): Float64Array {
  const next = createRandom(seed);
  return Float64Array.from({ length }, () => Math.fround(next.normal() * spread));
}

/** The ids that a distribution allows. */
export function allowedIds(distribution: Float64Array): number[] {
  return [...distribution.keys()].filter((id) => distribution[id]! > 0);
}

/** Expects draws to follow the distribution: a chi-square that about one in 100,000 runs would exceed. */
export function expectDistributed(tokens: Uint32Array, distribution: Float64Array): void {
  const counts = new Float64Array(distribution.length);
  for (const token of tokens) counts[token]!++;
  let chiSquare = 0;
  let bins = 0;
  let restExpected = 0;
  let restCount = 0;
  for (const [id, p] of distribution.entries()) {
    const mean = p * tokens.length;
    if (p === 0) expect(counts[id], `draws of the impossible token ${id}`).toBe(0);
    if (mean >= 5) {
      chiSquare += (counts[id]! - mean) ** 2 / mean;
      bins++;
    } else {
      restExpected += mean;
      restCount += counts[id]!;
    }
  }
  if (restExpected >= 5) {
    chiSquare += (restCount - restExpected) ** 2 / restExpected;
    bins++;
  }
  const freedom = bins - 1;
  expect(freedom).toBeGreaterThan(0);
  // Wilson and Hilferty's normal approximation, at 4.3 standard deviations.
  const bound = freedom * (1 - 2 / (9 * freedom) + 4.3 * Math.sqrt(2 / (9 * freedom))) ** 3;
  expect(chiSquare, `chi-square with ${freedom} degrees of freedom`).toBeLessThan(bound);
}
