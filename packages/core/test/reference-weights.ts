import type { Config } from './config.ts';
import { decodeElements, quantizeInt8 } from './number-formats.ts';
import { linear } from './oracles.ts';
import type { TensorReader } from './tensor-reader.ts';
import { originalPlace } from './tensor-table.ts';

/** The most decoded elements to keep: 128 MiB of float64. */
const CACHED_ELEMENTS = 2 ** 24;
/** The most elements to decode at a time. */
const CHUNK_ELEMENTS = 2 ** 20;

/** The dense weights, which can be held in 8 bits: not the router, norms, biases and sinks. */
const DENSE = /(self_attn\.[qkvo]_proj|embed_tokens|lm_head)\.weight$/;

/** The shape of a matrix. */
export type MatrixShape = readonly [rows: number, columns: number];

/** Decodes MXFP4 blocks: {@link decodeMxfp4}, except in tests that break it on purpose. */
export type DecodeBlocks = (blocks: Uint8Array, scales: Uint8Array) => Float64Array;

/** The weights of a checkpoint in either layout, by their Hugging Face names; decodes a few rows at a time. */
export class ReferenceWeights {
  readonly #reader: TensorReader;
  readonly #config: Config;
  readonly #isInt8: boolean;
  readonly #decodeBlocks: DecodeBlocks;
  readonly #isOriginal: boolean;
  readonly #cache = new Map<string, Float64Array>();
  #cachedElements = 0;

  /**
   * @param isInt8 - Whether dense weights are quantized to 8 bits before use.
   */
  constructor(reader: TensorReader, config: Config, isInt8: boolean, decodeBlocks: DecodeBlocks) {
    this.#reader = reader;
    this.#config = config;
    this.#isInt8 = isInt8;
    this.#decodeBlocks = decodeBlocks;
    this.#isOriginal = reader.find('model.embed_tokens.weight') === undefined;
  }

  /** The entries [start, end) of a tensor's first dimension, as numbers. */
  async values(name: string, start: number, end: number): Promise<Float64Array> {
    return this.#cached(`${name}[${start}:${end}]`, async () => {
      const place = this.#place(name);
      const tensor = this.#reader.find(place.name);
      if (!tensor) throw new RangeError(`${place.name} is not in the checkpoint`);
      const bytes = await this.#reader.read(place.name, place.row + start, place.row + end);
      const values = decodeElements(tensor.dtype, bytes);
      return this.#isInt8 && DENSE.test(name) ? quantizeInt8(values).values : values;
    });
  }

  /** W x + b. `x`: [tokens, columns]; result: [tokens, rows]. */
  async linear(
    x: Float64Array,
    name: string,
    shape: MatrixShape,
    bias?: Float64Array,
  ): Promise<Float64Array> {
    return multiply(x, shape, bias, (start, end) => this.values(name, start, end));
  }

  /**
   * W x + b of one expert. `name` ends in `gate_up_proj` or `down_proj`. `x`: [tokens, columns]; result: [tokens,
   * rows].
   */
  async expertLinear(
    x: Float64Array,
    name: string,
    expert: number,
    shape: MatrixShape,
  ): Promise<Float64Array> {
    const [, columns] = shape;
    const bias = await this.values(`${name}_bias`, expert, expert + 1);
    const read = (suffix: string) => {
      const place = this.#place(`${name}_${suffix}`);
      return this.#reader.read(place.name, expert, expert + 1);
    };
    let bytes: readonly [blocks: Uint8Array, scales: Uint8Array] | undefined;
    return multiply(x, shape, bias, (start, end) =>
      this.#cached(`${name}[${expert}][${start}:${end}]`, async () => {
        bytes ??= [await read('blocks'), await read('scales')];
        const [blocks, scales] = bytes;
        return this.#decodeBlocks(
          blocks.subarray((start * columns) / 2, (end * columns) / 2),
          scales.subarray((start * columns) / 32, (end * columns) / 32),
        );
      }),
    );
  }

  #place(name: string): { name: string; row: number } {
    return this.#isOriginal ? originalPlace(name, this.#config) : { name, row: 0 };
  }

  async #cached(key: string, make: () => Promise<Float64Array>): Promise<Float64Array> {
    const known = this.#cache.get(key);
    if (known) return known;
    const values = await make();
    if (this.#cachedElements + values.length <= CACHED_ELEMENTS) {
      this.#cache.set(key, values);
      this.#cachedElements += values.length;
    }
    return values;
  }
}

/** W x + b, with W fetched in chunks of rows. */
async function multiply(
  x: Float64Array,
  [rows, columns]: MatrixShape,
  bias: Float64Array | undefined,
  weight: (start: number, end: number) => Promise<Float64Array>,
): Promise<Float64Array> {
  const tokens = x.length / columns;
  const y = new Float64Array(tokens * rows);
  const chunkRows = Math.max(1, Math.floor(CHUNK_ELEMENTS / columns));
  for (let start = 0; start < rows; start += chunkRows) {
    const end = Math.min(rows, start + chunkRows);
    const part = linear(x, await weight(start, end), bias?.subarray(start, end), columns);
    for (let token = 0; token < tokens; token++) {
      y.set(
        part.subarray(token * (end - start), (token + 1) * (end - start)),
        token * rows + start,
      );
    }
  }
  return y;
}
