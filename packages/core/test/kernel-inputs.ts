/** Inputs of kernel tests: weights, which the library's own kernels re-lay, and small buffers. */

import { expect } from 'vitest';
import type { Dispatch } from '../src/gpu/kernel.ts';
import {
  allocateDense,
  allocateExperts,
  type DenseMatrix,
  type ExpertMatrix,
} from '../src/kernels/matrix.ts';
import { RepackKernels } from '../src/kernels/repack.ts';
import type { DenseFormat } from '../src/types/load.ts';
import { random, type TestGpu } from './gpu.ts';
import { decodeMxfp4, fromBf16, quantizeInt8, toBf16 } from './number-formats.ts';
import { linear } from './oracles.ts';
import { createRandom } from './random.ts';

/** The bits that {@link TestGpu.empty} fills buffers with. */
const UNWRITTEN = 0x7fc00000;

/** Elements after the end of an output buffer that show writes beyond it. */
const GUARD = 64;

/** {@link random} numbers as float64 for oracles, which float32 buffers hold exactly. */
export function randomValues(length: number, seed: number, scale = 1): Float64Array {
  return Float64Array.from(random(length, seed), (value) => Math.fround(value * scale));
}

/** Uploads numbers as float32. */
export function uploadFloats(gpu: TestGpu, values: ArrayLike<number>): GPUBuffer {
  return gpu.upload(Float32Array.from(values));
}

/** An output buffer of `length` elements and a guard, filled with the given numbers or else NaN. */
export function outputBuffer(gpu: TestGpu, length: number, values?: ArrayLike<number>): GPUBuffer {
  const words = new Uint32Array(length + GUARD).fill(UNWRITTEN);
  if (values) new Float32Array(words.buffer).set(Float32Array.from(values));
  return gpu.upload(words);
}

/** Reads an {@link outputBuffer} as float32, and fails if its guard was written. */
export async function outputFloats(gpu: TestGpu, buffer: GPUBuffer): Promise<Float32Array> {
  return new Float32Array((await outputWords(gpu, buffer)).slice().buffer);
}

/** Reads an {@link outputBuffer} as u32, and fails if its guard was written. */
export async function outputWords(gpu: TestGpu, buffer: GPUBuffer): Promise<Uint32Array> {
  const words = await gpu.words(buffer);
  const length = words.length - GUARD;
  expect(words.subarray(length), 'elements beyond the output').toEqual(
    new Uint32Array(GUARD).fill(UNWRITTEN),
  );
  return words.subarray(0, length);
}

/** Whether an element of a buffer from {@link TestGpu.empty} has not been written. */
export function isUnwritten(word: number): boolean {
  return word === UNWRITTEN;
}

/** A buffer that can also be bound as a uniform. */
export function uniformBuffer(gpu: TestGpu, words: Uint32Array<ArrayBuffer>): GPUBuffer {
  const buffer = gpu.buffers.create(
    'uniform',
    Math.max(16, words.byteLength),
    GPUBufferUsage.UNIFORM |
      GPUBufferUsage.STORAGE |
      GPUBufferUsage.COPY_DST |
      GPUBufferUsage.COPY_SRC,
  );
  gpu.gpu.device.queue.writeBuffer(buffer, 0, words);
  return buffer;
}

/** A `Step` of `shaders/lib/step.wgsl`. */
export function stepBuffer(
  gpu: TestGpu,
  position: number,
  tokens: number,
  outputRow = 0,
): GPUBuffer {
  return uniformBuffer(gpu, Uint32Array.of(position, tokens, outputRow, 0));
}

/** How to upload a matrix. */
export interface MatrixOptions {
  /** Default: no limit, one part. */
  readonly maxBindingBytes?: number;
  /** See {@link allocateDense}. */
  readonly rowsPerUnit?: number;
  /** Published rows that are re-laid at a time. Default: all. */
  readonly rowsPerChunk?: number;
}

/** A dense matrix on the GPU, and its values. */
export interface HeldMatrix {
  readonly matrix: DenseMatrix;
  /** [rows, columns], as rounded by its format. */
  readonly values: Float64Array;
}

/** Uploads bfloat16 rows as published, and re-lays them as a dense matrix. */
export async function uploadDense(
  gpu: TestGpu,
  format: DenseFormat,
  [rows, columns]: readonly [number, number],
  numbers: ArrayLike<number>,
  { maxBindingBytes = 2 ** 27, rowsPerUnit, rowsPerChunk = rows }: MatrixOptions = {},
): Promise<HeldMatrix> {
  const matrix = allocateDense(gpu.buffers, {
    label: 'matrix',
    format,
    rows,
    columns,
    maxBindingBytes,
    ...(rowsPerUnit !== undefined && { rowsPerUnit }),
  });
  const repacking = await new RepackKernels(gpu.gpu, gpu.buffers).dense('BF16', matrix);
  const dispatches: Dispatch[] = [];
  const published = Uint16Array.from(numbers, toBf16);
  for (let firstRow = 0; firstRow < rows; firstRow += rowsPerChunk) {
    const chunk = published.slice(firstRow * columns, (firstRow + rowsPerChunk) * columns);
    const staged = gpu.upload(new Uint32Array(chunk.buffer));
    dispatches.push(...repacking.dispatches({ staged, firstRow, rows: chunk.length / columns }));
  }
  gpu.run(...dispatches);
  const values = Float64Array.from(published, fromBf16);
  return { matrix, values: format === 'bf16' ? values : quantizeInt8(values).values };
}

/** Published MXFP4: the blocks and the scales of all rows of all experts. */
export interface Mxfp4Bytes {
  /** [experts * rows, columns / 32, 16]. */
  readonly blocks: Uint8Array<ArrayBuffer>;
  /** [experts * rows, columns / 32]. */
  readonly scales: Uint8Array<ArrayBuffer>;
}

/** Random MXFP4 of every code, with scales from 2^-8 to 2^-3 and a few far smaller ones. */
export function randomMxfp4(elements: number, seed: number): Mxfp4Bytes {
  const next = createRandom(seed);
  const blocks = Uint8Array.from({ length: elements / 2 }, () => next.integer(256));
  const scales = Uint8Array.from({ length: elements / 32 }, (_, i) =>
    i % 41 === 7 ? 60 : 119 + next.integer(6),
  );
  return { blocks, scales };
}

/** An expert matrix on the GPU, and its values. */
export interface HeldExperts {
  readonly matrix: ExpertMatrix;
  /** [experts, rows, columns]. */
  readonly values: Float64Array;
  /** [experts, rows]. */
  readonly bias: Float64Array;
}

/** Uploads MXFP4 as published, and re-lays it as an expert matrix. */
export async function uploadExperts(
  gpu: TestGpu,
  [experts, rows, columns]: readonly [number, number, number],
  { blocks, scales }: Mxfp4Bytes,
  bias: Float64Array,
  { maxBindingBytes = 2 ** 27, rowsPerChunk = experts * rows }: MatrixOptions = {},
): Promise<HeldExperts> {
  const matrix = allocateExperts(gpu.buffers, {
    label: 'experts',
    experts,
    rows,
    columns,
    bias: uploadFloats(gpu, bias),
    maxBindingBytes,
  });
  const repack = new RepackKernels(gpu.gpu, gpu.buffers);
  const [toBlocks, toScales] = [await repack.blocks(matrix), await repack.scales(matrix)];
  const dispatches: Dispatch[] = [];
  const blocksPerRow = columns / 32;
  const upload = (bytes: Uint8Array<ArrayBuffer>): GPUBuffer => {
    const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
    padded.set(bytes);
    return gpu.upload(new Uint32Array(padded.buffer));
  };
  for (let firstRow = 0; firstRow < experts * rows; firstRow += rowsPerChunk) {
    const chunk = Math.min(rowsPerChunk, experts * rows - firstRow);
    const from = firstRow * blocksPerRow;
    const to = from + chunk * blocksPerRow;
    const stagedBlocks = upload(blocks.subarray(from * 16, to * 16));
    const stagedScales = upload(scales.subarray(from, to));
    dispatches.push(
      ...toBlocks.dispatches({ staged: stagedBlocks, firstRow, rows: chunk }),
      ...toScales.dispatches({ staged: stagedScales, firstRow, rows: chunk }),
    );
  }
  gpu.run(...dispatches);
  return { matrix, values: decodeMxfp4(blocks, scales), bias };
}

/** One expert's product with x, bias included: [rows]. */
export function expertLinear(
  { matrix, values, bias }: HeldExperts,
  expert: number,
  x: Float64Array,
): Float64Array {
  const { rows, columns } = matrix;
  const weights = values.subarray(expert * rows * columns, (expert + 1) * rows * columns);
  return linear(x, weights, bias.subarray(expert * rows, (expert + 1) * rows), columns);
}
