/** The kernels of the expert matmuls, compiled for tests: those for few tokens, or the tiled ones for many. */

import { Kernel, type KernelSource } from '../src/gpu/kernel.ts';
import type { Halves } from '../src/kernels/halves.ts';
import { kernelSource } from '../src/kernels/shaders.ts';
import { rowGroups, rowSplits, workgroupsOf } from '../src/kernels/shape.ts';
import type { TestGpu } from './gpu.ts';
import { type HeldExperts, outputBuffer, outputFloats, uploadFloats } from './kernel-inputs.ts';
import { route } from './oracles.ts';
import { type TestedProduct, tileOf } from './products.ts';
import { createRandom } from './random.ts';

/** The limit of the activation. */
export const LIMIT = 7;

/** A power of two, so that products with it are exact. */
const INVERSE_RMS = 0.25;

/** The kernels for few tokens, or the tiled ones for many, with this product. */
export type Mode = 'few' | TestedProduct;

/** The experts chosen for each token. */
export interface Choice {
  readonly top: number;
  /** [tokens, experts], from which the kernels for few tokens choose. */
  readonly logits: Float64Array;
  /** [tokens, top]. */
  readonly experts: readonly number[];
  /** [tokens, top]. */
  readonly weights: readonly number[];
}

/** What a compiled matmul is for. */
export interface ExpertKernel {
  readonly mode: Mode;
  readonly top: number;
  /** Default: `native`. */
  readonly halves?: Halves;
}

/** The choice that logits lead to. */
export function choose(logits: Float64Array, experts: number, top: number): Choice {
  const choices = Array.from({ length: logits.length / experts }, (_, token) =>
    route(logits.subarray(token * experts, (token + 1) * experts), top),
  );
  return {
    top,
    logits,
    experts: choices.flatMap(({ ids }) => ids),
    weights: choices.flatMap(({ weights }) => weights),
  };
}

/** Random choices; every third token takes the last experts, so that some tiles are full. */
export function randomChoice(tokens: number, experts: number, top: number, seed: number): Choice {
  const next = createRandom(seed);
  const logits = Float64Array.from({ length: tokens * experts }, (_, i) => {
    const isLast = i % experts >= experts - top && Math.floor(i / experts) % 3 === 0;
    return Math.fround(next.normal() + (isLast ? 9 : 0));
  });
  return choose(logits, experts, top);
}

/** Uploads a choice, by binding name; tiles of slots cut as by group_by_expert. */
function bindChoice(gpu: TestGpu, mode: Mode, { top, logits, experts }: Choice) {
  const slots = experts.length;
  if (mode === 'few') {
    const tokens = slots / top;
    const width = logits.length / tokens;
    // After the logits of each token, 1 / rms(x), by which swiglu multiplies its products.
    const rows = Array.from({ length: tokens }, (_, t) => [
      ...logits.subarray(t * width, (t + 1) * width),
      INVERSE_RMS,
    ]).flat();
    return { resources: { router_logits: uploadFloats(gpu, rows) }, tiles: tokens };
  }
  const { inputs } = tileOf(mode);
  const sorted = [...experts.keys()].sort((a, b) => experts[a]! - experts[b]! || b - a);
  const tiles: number[] = [];
  for (let first = 0; first < slots; ) {
    const expert = experts[sorted[first]!]!;
    let count = 1;
    while (count < inputs && experts[sorted[first + count]!] === expert) count++;
    tiles.push(expert, first, count);
    first += count;
  }
  tiles.push(0, 0, 0); // an unused tile
  return {
    resources: {
      tiles: gpu.upload(Uint32Array.from(tiles)),
      sorted_slots: gpu.upload(Uint32Array.from(sorted)),
    },
    tiles: tiles.length / 3,
  };
}

/** The file of a kernel, with the libraries of its mode. */
function sourceOf(
  kernel: string,
  mode: Mode,
  halves: Halves,
  constants: Record<string, number>,
): KernelSource {
  return mode === 'few'
    ? kernelSource(kernel, { constants, libraries: { halves } })
    : kernelSource(`${kernel}_tiled`, { constants, libraries: { halves, product: mode } });
}

/** hidden [tokens, top, rows / 2] of h [tokens, columns]. */
export async function compileSwiglu(
  gpu: TestGpu,
  { matrix }: HeldExperts,
  { mode, top, halves = 'native' }: ExpertKernel,
): Promise<(h: Float64Array, choice: Choice) => Promise<Float32Array>> {
  const { experts, rows, columns } = matrix;
  const few = mode === 'few';
  const constants = { COLUMNS: columns, ROWS: rows, TOP: top, LIMIT };
  const kernel = await Kernel.compile(
    gpu.gpu,
    sourceOf('expert_swiglu', mode, halves, {
      ...constants,
      ...(few && { EXPERTS: experts, SPLITS: rowSplits(columns, 8) }),
    }),
  );
  return async (h, choice) => {
    const { resources, tiles } = bindChoice(gpu, mode, choice);
    const slots = choice.experts.length;
    const source = uploadFloats(gpu, few ? scaledRows(h, columns) : h);
    const hidden = outputBuffer(gpu, (slots * rows) / 2);
    gpu.run(
      ...matrix.parts.map((part) =>
        kernel.dispatch(
          'swiglu',
          {
            params: gpu.buffers.params(part.firstExpert, part.experts),
            ...resources,
            weights: part.blocks,
            scales: part.scales,
            bias: matrix.bias,
            h: source,
            hidden,
          },
          mode === 'few'
            ? [rowGroups('expert_swiglu', rows), slots]
            : [Math.ceil(rows / tileOf(mode).rows), tiles],
        ),
      ),
    );
    return outputFloats(gpu, hidden);
  };
}

/** Rows as few tokens have them: numbers that await the factor 1 / rms(x), and sums of squares, not read by swiglu. */
function scaledRows(h: Float64Array, columns: number): number[] {
  return Array.from({ length: h.length / columns }, (_, row) => [
    ...h.subarray(row * columns, (row + 1) * columns).map((value) => value / INVERSE_RMS),
    ...new Array<number>(columns / 8).fill(Number.NaN),
  ]).flat();
}

/** Inputs of the second matmul. */
export interface Weighted {
  readonly choice: Choice;
  /** [tokens, top, columns]. */
  readonly hidden: Float64Array;
  /** [tokens, rows], to which the sum is added. */
  readonly x: Float64Array;
  /** [rows], of the next norm. */
  readonly scale: Float64Array;
}

/** x + the weighted sum of the experts' rows of `hidden`; for few tokens, also its rows that await their norm. */
export async function compileOut(
  gpu: TestGpu,
  { matrix }: HeldExperts,
  { mode, top, halves = 'native' }: ExpertKernel,
): Promise<(input: Weighted) => Promise<{ x: Float32Array; h: Float32Array | undefined }>> {
  const { experts, rows, columns } = matrix;
  const constants = { COLUMNS: columns, ROWS: rows };
  const few = mode === 'few';
  const kernel = await Kernel.compile(
    gpu.gpu,
    sourceOf('expert_out', mode, halves, {
      ...constants,
      ...(few && { EXPERTS: experts, TOP: top, SPLITS: rowSplits(columns, 16) }),
    }),
  );
  const sum = few
    ? undefined
    : await Kernel.compile(
        gpu.gpu,
        kernelSource('expert_sum', { constants: { COLUMNS: rows, TOP: top } }),
      );
  return async ({ choice, hidden, x: before, scale }) => {
    const slots = choice.experts.length;
    const tokens = slots / top;
    const { resources, tiles } = bindChoice(gpu, mode, choice);
    const x = outputBuffer(gpu, before.length, before);
    const h = outputBuffer(gpu, (before.length * 9) / 8);
    const out = outputBuffer(gpu, slots * rows);
    const operands = few
      ? { scale: uploadFloats(gpu, scale), x, h }
      : { expert_weights: uploadFloats(gpu, choice.weights), out };
    const hiddenBuffer = uploadFloats(gpu, hidden);
    const products = matrix.parts.map((part) =>
      kernel.dispatch(
        'out',
        {
          params: gpu.buffers.params(part.firstExpert, part.experts),
          ...resources,
          weights: part.blocks,
          scales: part.scales,
          bias: matrix.bias,
          hidden: hiddenBuffer,
          ...operands,
        },
        mode === 'few'
          ? [rowGroups('expert_out', rows), tokens]
          : [Math.ceil(rows / tileOf(mode).rows), tiles],
      ),
    );
    const added = sum?.dispatch('sum', { out, x }, [workgroupsOf('expert_sum', rows / 4), tokens]);
    gpu.run(...products, ...(added ? [added] : []));
    if (!few) await outputFloats(gpu, out);
    return {
      x: await outputFloats(gpu, x),
      h: few ? await outputFloats(gpu, h) : undefined,
    };
  };
}
