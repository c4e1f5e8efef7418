import { Buffers, maxBindingBytes, readBuffer } from '../../gpu/buffers.ts';
import type { Dispatch } from '../../gpu/kernel.ts';
import { submit } from '../../gpu/recorder.ts';
import {
  allocateDense,
  allocateExperts,
  type DenseMatrix,
  type DensePart,
  type ExpertMatrix,
} from '../../kernels/matrix.ts';
import type { Linear } from '../../kernels/operands.ts';
import { Operations } from '../../kernels/operations.ts';
import { type Repacking, RepackKernels } from '../../kernels/repack.ts';
import { HEAD_SIZE, PRODUCT_TILES, type Product, TILE_ROWS } from '../../kernels/shape.ts';
import { KvCache } from '../../model/kv-cache.ts';
import type { DenseOptions } from '../../model/parameters.ts';
import { ropeTable } from '../../model/rope.ts';
import { type Runtime, writeStep } from '../../model/runtime.ts';
import type { Weights } from '../../model/weights.ts';
import type { SelfTestResult } from '../../types/diagnosis.ts';
import { encodeSamplingOptions, samplingOptions } from '../control/sampling-options.ts';
import { float64Pass } from './float64-pass.ts';
import {
  createSparseModel,
  EXPERT_ROWS,
  type SparseMatrix,
  type SparseModel,
} from './sparse-model.ts';

/** Tokens of the first pass: enough for the kernels of many tokens, and for a tile of 8 with a remainder. */
const MANY_TOKENS = 9;

/** How far from the largest expected logit a computed one may be; f16 arithmetic and storage take a tenth of it. */
const TOLERANCE = 0.01;

/** The same with keys and values in 8 bits, and for wide tiles that round activations to 8 bits. */
const INT8_TOLERANCE = 0.1;

/** Tokens of the pass that compares wide tiles with narrow ones: a tile of them. */
const WIDE_TOKENS = PRODUCT_TILES.wide.inputs;

/** Layers of the test: a sliding and a full one, of the same weights. */
const SLIDING_LAYERS = [true, false];

/**
 * Runs the kernels of a runtime, at their true shapes, on a model of two layers with few weights that are not zero: a pass
 * of several tokens, and a decode step. Compares the logits with the same computed in float64 on the CPU, and the token
 * that is sampled with the likeliest one. Wide tiles are compared with narrow ones. Overwrites the activations and the step.
 *
 * @throws {@link OssicleError} `out-of-memory`, `device-lost`, `gpu-error`.
 */
export async function runSelfTest(runtime: Runtime): Promise<SelfTestResult> {
  const { gpu, config, shape, kernels, activations, scheduler } = runtime;
  const { device } = gpu;
  const model = createSparseModel(shape);
  const buffers = new Buffers(gpu, 'self-test');
  const kv = new KvCache(gpu, { ...config, slidingLayers: SLIDING_LAYERS }, shape);
  try {
    const weights = await uploadSparseModel(runtime, buffers, model);
    const pass = runtime.createModel(weights, kernels.has('tall') ? 'tall' : 'narrow');
    await buffers.allocated();
    await kv.allocated();
    const many = Math.max(0, Math.min(MANY_TOKENS, shape.chunkLength, shape.contextLength - 1));
    const rows = model.unembedding.rows;
    const tokens = Array.from({ length: many + 1 }, (_, i) => (i * 7 + 3) % rows);
    const table = ropeTable(config, tokens.length);
    const expected = float64Pass(model, shape, table, tokens);

    clearActivations(runtime);
    let error = 0;
    const run = async (first: number, count: number, last: readonly Dispatch[] = []) => {
      const outputs = Math.min(count, activations.logitRows);
      device.queue.writeBuffer(
        activations.tokens,
        0,
        Uint32Array.from(tokens.slice(first, first + count)),
      );
      writeStep(runtime, first, count, count - outputs);
      scheduler.submit('self-test', pass.forward(kv, count), first + count);
      writeStep(runtime, first, outputs, count - outputs);
      scheduler.submit('self-test', [...pass.unembed(outputs), ...last], first + count);
      for (let i = 0; i < outputs; i++) {
        const at = 4 * i * shape.vocabularySize;
        const actual = new Float32Array(await readBuffer(gpu, activations.logits, at, 4 * rows));
        error = Math.max(
          error,
          difference(actual, expected[first + count - outputs + i] as Float64Array),
        ); // NaN stays
      }
    };
    if (many > 0) await run(0, many);
    const options = encodeSamplingOptions(samplingOptions({ temperature: 0 }));
    device.queue.writeBuffer(activations.sampling.options, 0, options);
    const { logits, sampling } = activations;
    await run(many, 1, new Operations(kernels, 1).sample(logits, sampling, activations.tokens));
    const [token] = new Uint32Array(await readBuffer(gpu, activations.tokens, 0, 4));
    const wideError = await differenceOfWide(runtime, weights, kv);
    const isWideRight = wideError <= (shape.prefill === 'int8' ? INT8_TOLERANCE : TOLERANCE);
    const passed =
      error <= (shape.kvCache === 'int8' ? INT8_TOLERANCE : TOLERANCE) &&
      isWideRight &&
      token === likeliest(expected[many] as Float64Array);
    return { passed, error: Math.max(error, wideError) };
  } finally {
    kv.dispose();
    buffers.dispose();
  }
}

/**
 * The difference between wide and narrow tiles: of the residual stream of a pass, and of a row of logits; 0 if there are no
 * wide ones.
 */
async function differenceOfWide(runtime: Runtime, weights: Weights, kv: KvCache): Promise<number> {
  const { gpu, shape, kernels, activations, scheduler } = runtime;
  const count = Math.min(WIDE_TOKENS, shape.chunkLength, shape.contextLength);
  if (count === 1 || !kernels.has('wide')) return 0;
  const { tokens, x, logits, logitRows } = activations;
  const outputs = Math.min(2, logitRows);
  const { rows } = weights.unembedding.parts[0] as DensePart;
  const results = async (product: Product): Promise<Float32Array[]> => {
    clearActivations(runtime);
    const ids = Uint32Array.from({ length: count }, (_, i) => (i * 7 + 3) % rows);
    gpu.device.queue.writeBuffer(tokens, 0, ids);
    const pass = runtime.createModel(weights, product);
    writeStep(runtime, 0, count, count - outputs);
    scheduler.submit('self-test', pass.forward(kv, count), count);
    writeStep(runtime, 0, outputs, count - outputs);
    scheduler.submit('self-test', pass.unembed(outputs), count);
    return [
      new Float32Array(await readBuffer(gpu, x, 0, 4 * count * shape.hiddenSize)),
      new Float32Array(await readBuffer(gpu, logits, 0, 4 * rows)),
    ];
  };
  const narrow = await results('narrow');
  const wide = await results('wide');
  return Math.max(
    ...narrow.map((expected, i) =>
      difference(wide[i] as Float32Array, Float64Array.from(expected)),
    ),
  );
}

/** A kernel that writes nothing must not find what another run has left. */
function clearActivations({ gpu: { device }, activations }: Runtime): void {
  const encoder = device.createCommandEncoder({ label: 'self-test' });
  for (const buffer of buffersOf(activations)) encoder.clearBuffer(buffer);
  device.queue.submit([encoder.finish()]);
}

/** Puts the weights on the GPU, in the layout of the kernels. Both layers share them. */
async function uploadSparseModel(
  { gpu, shape }: Runtime,
  buffers: Buffers,
  model: SparseModel,
): Promise<Weights> {
  const repack = new RepackKernels(gpu, buffers);
  const limits = { maxBindingBytes: maxBindingBytes(gpu.device.limits) };
  const dispatches: Dispatch[] = [];
  const stage = (
    repacking: Repacking,
    firstRow: number,
    data: Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>,
  ): void => {
    const words = new Uint32Array(Math.ceil(data.byteLength / 4));
    new Uint8Array(words.buffer).set(new Uint8Array(data.buffer));
    const staged = buffers.storageOf('staged', words);
    const rows = data.byteLength / repacking.rowBytes;
    dispatches.push(...repacking.dispatches({ staged, firstRow, rows }));
  };
  const vector = (label: string, rows: number, parts: readonly Vector[]): GPUBuffer => {
    const values = new Float32Array(rows);
    for (const { first, data } of parts) values.set(data, first);
    return buffers.storageOf(label, values);
  };
  const biasesOf = ({ tiles }: SparseMatrix, start = 0): Vector[] =>
    tiles.map(({ firstRow, bias }) => ({ first: start + firstRow, data: bias }));
  const dense = async (
    label: string,
    { rows, columns, tiles }: SparseMatrix,
    { format = shape.dense, rowsPerUnit = TILE_ROWS }: DenseOptions = {},
  ): Promise<DenseMatrix> => {
    // A part for each tile, so that rows of zeros cost neither memory nor time.
    const starts = new Set(tiles.map(({ firstRow }) => firstRow - (firstRow % rowsPerUnit)));
    const parts: DensePart[] = [];
    for (const firstRow of starts) {
      const extents = { label, format, rows: Math.min(rowsPerUnit, rows - firstRow), columns };
      const matrix = allocateDense(buffers, { ...extents, rowsPerUnit, ...limits });
      const repacking = await repack.dense('F32', matrix);
      for (const tile of tiles) {
        const row = tile.firstRow - firstRow;
        if (row >= 0 && row < rowsPerUnit) stage(repacking, row, tile.values);
      }
      parts.push({ ...(matrix.parts[0] as DensePart), firstRow });
    }
    return { label, format, rows, columns, parts };
  };
  const linear = async (
    label: string,
    matrix: SparseMatrix,
    options?: DenseOptions,
  ): Promise<Linear> => ({
    weight: await dense(label, matrix, options),
    bias: vector(`${label}.bias`, matrix.rows, biasesOf(matrix)),
  });
  const experts = async (
    label: string,
    matrices: readonly SparseMatrix[],
  ): Promise<ExpertMatrix> => {
    const [{ rows, columns }] = matrices as readonly [SparseMatrix];
    const biases = matrices.flatMap((matrix, expert) => biasesOf(matrix, expert * rows));
    const bias = vector(`${label}.bias`, shape.experts * rows, biases);
    const extents = { label, experts: matrices.length, rows, columns, bias };
    const matrix = allocateExperts(buffers, { ...extents, ...limits });
    const [blocks, scales] = [await repack.blocks(matrix), await repack.scales(matrix)];
    for (const [expert, { tiles }] of matrices.entries()) {
      for (const tile of tiles) {
        stage(blocks, expert * rows + tile.firstRow, tile.blocks as Uint8Array<ArrayBuffer>);
        stage(scales, expert * rows + tile.firstRow, tile.scales as Uint8Array<ArrayBuffer>);
      }
    }
    return { ...matrix, rows: Math.min(rows, EXPERT_ROWS) }; // kernels know the true number
  };
  const gateRows = Math.ceil(shape.experts / TILE_ROWS) * TILE_ROWS; // the router is in one part
  const norm = buffers.storageOf('norm', new Float32Array(shape.hiddenSize).fill(1));
  const layer = {
    attn: {
      norm,
      qkv: await linear('qkv', model.qkv, { rowsPerUnit: HEAD_SIZE }),
      sinks: buffers.storageOf('sinks', model.sinks),
      out: await linear('out', model.out),
    },
    mlp: {
      norm,
      gate: {
        weight: await dense('gate', model.gate, { format: 'bf16', rowsPerUnit: gateRows }),
        bias: buffers.storageOf('gate.bias', model.gateBias),
      },
      mlp1: await experts('mlp1', model.mlp1),
      mlp2: await experts('mlp2', model.mlp2),
    },
  };
  const weights = {
    embedding: await dense('embedding', model.embedding),
    block: SLIDING_LAYERS.map(() => layer),
    norm,
    unembedding: await dense('unembedding', model.unembedding),
  };
  submit(gpu, dispatches);
  return weights;
}

function buffersOf(tree: object): GPUBuffer[] {
  return Object.values(tree).flatMap((value: number | GPUBuffer | object) => {
    if (typeof value === 'number') return [];
    return 'destroy' in value ? [value] : buffersOf(value);
  });
}

/** A part of a vector that is not zero. */
interface Vector {
  readonly first: number;
  readonly data: Float32Array<ArrayBuffer>;
}

/** The largest difference of two rows of logits, in units of the largest that is expected; NaN if one is no number. */
function difference(actual: Float32Array, expected: Float64Array): number {
  const most = (a: number, b: number): number => Math.max(a, Math.abs(b)); // NaN stays
  const differences = expected.map((value, i) => value - (actual[i] as number));
  return differences.reduce(most, 0) / expected.reduce(most, 0);
}

/** The id of the largest logit. Those of tokens that the test's model does not have are 0. */
function likeliest(logits: Float64Array): number {
  return logits.indexOf(Math.max(...logits));
}
