import { expect } from 'vitest';
import {
  type CacheShape,
  cachedRows,
  cacheWords,
  columnsOf,
  FREQUENCIES,
  uploadRopeTable,
} from '../../test/attention-inputs.ts';
import { choose } from '../../test/expert-kernels.ts';
import { gpuTest, type TestGpu } from '../../test/gpu.ts';
import { expertLinear, stepBuffer, uniformBuffer, uploadFloats } from '../../test/kernel-inputs.ts';
import { type LayerWeights, uploadLayerWeights } from '../../test/layer-weights.ts';
import { completedNorm } from '../../test/normed-rows.ts';
import { attention, linear, rmsNorm, rope, swiglu } from '../../test/oracles.ts';
import { createRandom } from '../../test/random.ts';
import { Kernels } from './kernels.ts';
import type { LayerCache } from './operands.ts';
import { Operations } from './operations.ts';
import { HEAD_SIZE, type KernelShape, normedRow, scratchBytes } from './shape.ts';

const CONTEXT = 260;

const SHAPES: readonly KernelShape[] = [
  {
    hiddenSize: 160,
    intermediateSize: 96,
    heads: 4,
    kvHeads: 2,
    experts: 8,
    expertsPerToken: 4,
    vocabularySize: 1000,
    normEpsilon: 1e-5,
    swigluLimit: 7,
    slidingWindow: 16,
    ringCapacity: 96,
    contextLength: CONTEXT,
    chunkLength: 70,
    dense: 'int8',
    kvCache: 'f16',
    prefill: 'float',
  },
  {
    hiddenSize: 96,
    intermediateSize: 32,
    heads: 8,
    kvHeads: 1,
    experts: 40,
    expertsPerToken: 2,
    vocabularySize: 640,
    normEpsilon: 1e-6,
    swigluLimit: 4,
    slidingWindow: 128,
    ringCapacity: 224,
    contextLength: 128,
    chunkLength: 70,
    dense: 'bf16',
    kvCache: 'f32',
    prefill: 'float',
  },
];

/** The operations of one layer, the embedding and the unembedding, with their buffers. */
class OneLayer {
  readonly #gpu: TestGpu;
  readonly #kernels: Kernels;
  readonly #shape: KernelShape;
  readonly #step: GPUBuffer;
  readonly #w: LayerWeights;
  readonly #ropeTable: GPUBuffer;
  readonly #caches: readonly LayerCache[];
  readonly #tokens: GPUBuffer;
  position = 0;

  static async create(gpu: TestGpu, shape: KernelShape): Promise<OneLayer> {
    const step = stepBuffer(gpu, 0, 1);
    const options = { adapter: 'gpu' } as const;
    const kernels = await Kernels.compile(gpu.gpu, shape, step, gpu.buffers, options);
    return new OneLayer(gpu, kernels, shape, step, await uploadLayerWeights(gpu, shape));
  }

  private constructor(
    gpu: TestGpu,
    kernels: Kernels,
    shape: KernelShape,
    step: GPUBuffer,
    w: LayerWeights,
  ) {
    this.#gpu = gpu;
    this.#kernels = kernels;
    this.#shape = shape;
    this.#step = step;
    this.#w = w;
    this.#ropeTable = uploadRopeTable(gpu, 0, shape.contextLength);
    this.#caches = [true, false].map((isSliding) => ({
      isSliding,
      keys: gpu.empty(cacheWords(this.#cacheShape(isSliding))),
      values: gpu.empty(cacheWords(this.#cacheShape(isSliding))),
    }));
    this.#tokens = gpu.empty(shape.chunkLength);
  }

  #cacheShape(isSliding: boolean): CacheShape {
    const { kvHeads, kvCache, ringCapacity, contextLength } = this.#shape;
    return { kvHeads, kvCache, capacity: isSliding ? ringCapacity : contextLength };
  }

  async #read(buffer: GPUBuffer, length?: number): Promise<Float64Array> {
    return Float64Array.from(await this.#gpu.floats(buffer, length));
  }

  /** Expects every operation on `count` tokens to match its oracle on the same inputs. */
  async expectPass(count: number): Promise<void> {
    const { hiddenSize, chunkLength } = this.#shape;
    this.#gpu.gpu.device.queue.writeBuffer(
      this.#step,
      0,
      Uint32Array.of(this.position, count, count - 1),
    );
    const x = this.#gpu.empty(chunkLength * hiddenSize);
    const h = this.#gpu.empty(chunkLength * normedRow(hiddenSize));
    await this.#expectEmbedding(x, h, count);
    for (const cache of this.#caches) await this.#expectAttention(x, h, cache, count);
    await this.#expectExperts(x, h, count);
    await this.#expectNextToken(x, h, count);
    this.position += count;
    expect([...(await this.#gpu.words(this.#step, 3))], 'step').toEqual([this.position, 1, 0]);
    const rest = await this.#gpu.floats(x);
    expect(rest.subarray(count * hiddenSize).every(Number.isNaN), 'rows beyond').toBe(true);
  }

  async #expectEmbedding(x: GPUBuffer, h: GPUBuffer, count: number): Promise<void> {
    const { hiddenSize, vocabularySize } = this.#shape;
    const next = createRandom(this.position);
    const ids = Array.from({ length: count }, () => next.integer(vocabularySize));
    this.#gpu.gpu.device.queue.writeBuffer(this.#tokens, 0, Uint32Array.from(ids));
    this.#gpu.run(
      ...new Operations(this.#kernels, count).embed(
        this.#tokens,
        this.#w.embedding.matrix,
        this.#w.scaleBuffer,
        x,
        h,
      ),
    );
    const rows = ids.flatMap((id) => [
      ...this.#w.embedding.values.subarray(id * hiddenSize, (id + 1) * hiddenSize),
    ]);
    expect(await this.#read(x, rows.length), 'embed').toBeCloseToArray(rows, 0);
    await this.#expectNorm(x, h, count);
  }

  /** Reads h, [count, hiddenSize]; few tokens leave its norm to whoever multiplies it. */
  async #readNorm(h: GPUBuffer, count: number): Promise<Float64Array> {
    const { hiddenSize, normEpsilon } = this.#shape;
    if (count > 1) return this.#read(h, count * hiddenSize);
    const rows = await this.#read(h, count * normedRow(hiddenSize));
    return completedNorm(rows, hiddenSize, normEpsilon);
  }

  async #expectNorm(x: GPUBuffer, h: GPUBuffer, count: number): Promise<void> {
    const { hiddenSize, normEpsilon } = this.#shape;
    const norm = rmsNorm(await this.#read(x, count * hiddenSize), this.#w.scale, normEpsilon);
    expect(await this.#readNorm(h, count), 'norm').toBeCloseToArray(norm, 1e-5);
  }

  async #expectAttention(
    x: GPUBuffer,
    h: GPUBuffer,
    cache: LayerCache,
    count: number,
  ): Promise<void> {
    const { hiddenSize, heads, kvHeads, slidingWindow, kvCache, chunkLength } = this.#shape;
    const { qkv, qkvBias, out, outBias, sinks } = this.#w;
    const [queries, keysWidth] = [heads * HEAD_SIZE, kvHeads * HEAD_SIZE];
    const width = queries + 2 * keysWidth;
    const span = cache.isSliding ? 'sliding' : 'full';
    const projected = this.#gpu.empty(chunkLength * width);
    const attended = this.#gpu.empty(chunkLength * queries);
    const scratch = scratchBytes(this.#shape);
    const splits = {
      out: this.#gpu.empty(scratch.splitOut / 4),
      stats: this.#gpu.empty(scratch.splitStats / 4),
    };
    const k = new Operations(this.#kernels, count);
    this.#gpu.run(
      ...k.qkv(
        h,
        { weight: qkv.matrix, bias: uploadFloats(this.#gpu, qkvBias) },
        this.#ropeTable,
        cache,
        projected,
      ),
      ...k.attend(projected, cache, uploadFloats(this.#gpu, sinks), splits, attended),
    );

    const hRows = await this.#readNorm(h, count);
    const rows = linear(hRows, qkv.values, qkvBias, hiddenSize);
    const rotate = (from: number, to: number): Float64Array =>
      rope(columnsOf(rows, width, from, to), to - from, this.position, FREQUENCIES);
    const q = rotate(0, queries);
    const gotQ = columnsOf(await this.#read(projected, count * width), width, 0, queries);
    expect(gotQ, `${span} queries`).toBeCloseToArray(q, 2e-5);

    const shape = this.#cacheShape(cache.isSliding);
    const end = this.position + count;
    const first = Math.max(0, end - shape.capacity);
    const keys = cachedRows('keys', await this.#gpu.words(cache.keys), shape, first, end);
    const values = cachedRows('values', await this.#gpu.words(cache.values), shape, first, end);
    const newest = count * keysWidth;
    const tolerance = kvCache === 'f16' ? 2 ** -10 : 2e-5;
    expect(keys.slice(-newest), `${span} keys`).toBeCloseToArray(
      rotate(queries, queries + keysWidth),
      tolerance,
    );
    expect(values.slice(-newest), `${span} values`).toBeCloseToArray(
      columnsOf(rows, width, queries + keysWidth, width),
      tolerance,
    );

    const { out: mixed } = attention({
      q: gotQ,
      k: keys,
      v: values,
      sinks,
      kvHeads,
      headDim: HEAD_SIZE,
      window: cache.isSliding ? slidingWindow : 0,
    });
    const gotMixed = await this.#read(attended, count * queries);
    expect(gotMixed, `${span} attention`).toBeCloseToArray(mixed, 1e-4);

    const before = await this.#read(x, count * hiddenSize);
    this.#gpu.run(
      ...k.addOut(
        attended,
        { weight: out.matrix, bias: uploadFloats(this.#gpu, outBias) },
        this.#w.scaleBuffer,
        x,
        h,
      ),
    );
    const added = linear(gotMixed, out.values, outBias, queries);
    expect(await this.#read(x, before.length), 'out').toBeCloseToArray(
      before.map((value, i) => value + added[i]!),
      2e-5,
    );
    await this.#expectNorm(x, h, count);
  }

  async #expectExperts(x: GPUBuffer, h: GPUBuffer, count: number): Promise<void> {
    const { hiddenSize, intermediateSize, experts, expertsPerToken, swigluLimit, chunkLength } =
      this.#shape;
    const { scaleBuffer, gate, gateBias, mlp1, mlp2 } = this.#w;
    const slots = count * expertsPerToken;
    const gotH = await this.#readNorm(h, count);
    const choice = {
      routerLogits: this.#gpu.empty(chunkLength * (experts + 1)),
      experts: this.#gpu.empty(chunkLength * expertsPerToken),
      weights: this.#gpu.empty(chunkLength * expertsPerToken),
      sortedSlots: this.#gpu.empty(chunkLength * expertsPerToken),
      tiles: this.#gpu.empty(scratchBytes(this.#shape).tiles / 4),
    };
    const hidden = this.#gpu.empty(chunkLength * expertsPerToken * intermediateSize);
    const expertOut = this.#gpu.empty(chunkLength * expertsPerToken * hiddenSize);
    const before = await this.#read(x, count * hiddenSize);
    const k = new Operations(this.#kernels, count);
    this.#gpu.run(
      ...k.route(h, { weight: gate.matrix, bias: uploadFloats(this.#gpu, gateBias) }, choice),
      ...k.swiglu(h, choice, mlp1.matrix, hidden),
      ...k.addExperts(hidden, choice, mlp2.matrix, scaleBuffer, expertOut, x, h),
    );
    const logits = columnsOf(
      await this.#read(choice.routerLogits, count * (experts + 1)),
      experts + 1,
      0,
      experts,
    );
    expect(logits, 'router').toBeCloseToArray(
      linear(gotH, gate.values, gateBias, hiddenSize),
      1e-5,
    );

    const gotHidden = await this.#read(hidden, slots * intermediateSize);
    const { experts: chosen, weights } = choose(logits, experts, expertsPerToken);
    if (count > 1) {
      expect([...(await this.#gpu.words(choice.experts, slots))]).toEqual(chosen);
      expect(await this.#read(choice.weights, slots)).toBeCloseToArray(weights, 1e-5);
    }
    const expectedHidden: number[] = [];
    const after = before.slice();
    for (const [slot, expert] of chosen.entries()) {
      const token = Math.floor(slot / expertsPerToken);
      const row = gotH.subarray(token * hiddenSize, (token + 1) * hiddenSize);
      expectedHidden.push(...swiglu(expertLinear(mlp1, expert, row), swigluLimit));
      const slotHidden = gotHidden.subarray(slot * intermediateSize, (slot + 1) * intermediateSize);
      for (const [i, value] of expertLinear(mlp2, expert, slotHidden).entries()) {
        after[token * hiddenSize + i]! += weights[slot]! * value;
      }
    }
    expect(gotHidden, 'swiglu').toBeCloseToArray(expectedHidden, 2e-5);
    expect(await this.#read(x, after.length), 'experts').toBeCloseToArray(after, 2e-5);
    await this.#expectNorm(x, h, count);
  }

  /** The logits of all rows, then of the last row alone, and the greedy choice from those. */
  async #expectNextToken(x: GPUBuffer, h: GPUBuffer, count: number): Promise<void> {
    const { hiddenSize, vocabularySize, normEpsilon } = this.#shape;
    const { scale, scaleBuffer, unembedding } = this.#w;
    const logits = this.#gpu.empty(count * vocabularySize);
    this.#gpu.run(...new Operations(this.#kernels, count).unembed(h, unembedding.matrix, logits));
    expect(await this.#read(logits), 'logits').toBeCloseToArray(
      linear(await this.#read(h, count * hiddenSize), unembedding.values, undefined, hiddenSize),
      1e-5,
    );

    const scratch = scratchBytes(this.#shape);
    const adjustments = this.#gpu.upload(new Uint32Array(2 * vocabularySize));
    const options = new Uint32Array(12);
    new Float32Array(options.buffer).set([0, 1, 0, 1]);
    const last = this.#gpu.empty(vocabularySize);
    const k = new Operations(this.#kernels, 1);
    this.#gpu.run(
      ...k.outputNorm(x, scaleBuffer, h),
      ...k.unembed(h, unembedding.matrix, last),
      ...k.sample(
        last,
        {
          options: uniformBuffer(this.#gpu, options),
          adjustments,
          mask: this.#gpu.upload(new Uint32Array(Math.ceil(vocabularySize / 32))),
          strips: this.#gpu.empty(scratch.strips / 4),
          found: this.#gpu.upload(new Uint32Array(scratch.found / 4)),
          groups: this.#gpu.upload(new Uint32Array(scratch.groups / 4)),
        },
        this.#tokens,
      ),
    );
    const rows = rmsNorm(await this.#read(x, count * hiddenSize), scale, normEpsilon);
    const row = rows.subarray((count - 1) * hiddenSize);
    expect(await this.#read(h, hiddenSize), 'output norm').toBeCloseToArray(row, 1e-5);
    const got = await this.#read(last);
    expect(got, 'last logits').toBeCloseToArray(
      linear(row, unembedding.values, undefined, hiddenSize),
      1e-5,
    );
    const likeliest = got.indexOf(got.reduce((a, b) => Math.max(a, b)));
    expect((await this.#gpu.words(this.#tokens, 1))[0], 'next token').toBe(likeliest);
    expect((await this.#gpu.words(adjustments))[2 * likeliest + 1], 'occurrences').toBe(3);
  }
}

gpuTest.each(SHAPES)(
  'every operation matches its oracle for a long prompt, short ones and single tokens, with dense $dense and kvCache $kvCache',
  async (shape, gpu) => {
    const operations = await OneLayer.create(gpu, shape);
    for (const count of [70, 9, 2, 1, 1]) await operations.expectPass(count);
  },
);
