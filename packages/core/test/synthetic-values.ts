/** Seeded values for checkpoints of any size: any slice of any tensor can be generated on its own. */

import type { Config } from './config.ts';
import { E2M1, toBf16 } from './number-formats.ts';
import { createRandom, seedFrom } from './random.ts';
import { type TensorSpec, tensorBytes } from './safetensors-file.ts';
import type { TensorReader } from './tensor-reader.ts';
import { type Layout, originalPlace, tensorTable } from './tensor-table.ts';

/** Bytes generated from one seed; a slice is generated from the chunks that it overlaps. */
const CHUNK_BYTES = 65536;
/** Entries in a table of values, from which uniform random bits choose. */
const TABLE_SIZE = 4096;

/** The tensors of a synthetic checkpoint. Both layouts hold the same numbers. */
export interface SyntheticValues extends TensorReader {
  /** Every tensor, in the order in which shards are filled. */
  readonly table: readonly TensorSpec[];
  /** Fills `target` with the bytes of a tensor from `begin` on. */
  fill(name: string, begin: number, target: Uint8Array): void;
}

/**
 * Makes values of realistic scales: normal weights with a deviation of about 1/sqrt(inputs), random MXFP4 codes at that
 * scale, norms around 1, and sinks and biases that matter. The logits are finite and spread over a few units.
 */
export function createSyntheticValues(
  config: Config,
  layout: Layout = 'hf',
  seed = 1,
): SyntheticValues {
  const table = tensorTable(config, layout);
  const specs = new Map(table.map((spec) => [spec.name, spec]));
  const parts = partsOf(config, layout);
  const fill = (name: string, begin: number, target: Uint8Array) => {
    let partBegin = 0;
    for (const part of parts.get(name) ?? []) {
      const partEnd = partBegin + tensorBytes(part);
      const from = Math.max(begin, partBegin);
      const to = Math.min(begin + target.length, partEnd);
      if (from < to) {
        fillPart(part, config, seed, from - partBegin, target.subarray(from - begin, to - begin));
      }
      partBegin = partEnd;
    }
  };
  return {
    table,
    fill,
    find: (name) => specs.get(name),
    read(name, start, end) {
      const spec = specs.get(name)!;
      const entryBytes = tensorBytes(spec) / spec.shape[0]!;
      const bytes = new Uint8Array((end - start) * entryBytes);
      fill(name, start * entryBytes, bytes);
      return bytes;
    },
  };
}

/** The Hugging Face tensors that each tensor of a layout consists of, in the order of its rows. */
function partsOf(config: Config, layout: Layout): Map<string, TensorSpec[]> {
  const parts = new Map<string, { row: number; spec: TensorSpec }[]>();
  for (const spec of tensorTable(config, 'hf')) {
    const { name, row } = layout === 'hf' ? { ...spec, row: 0 } : originalPlace(spec.name, config);
    parts.set(name, [...(parts.get(name) ?? []), { row, spec }]);
  }
  return new Map(
    [...parts].map(([name, list]) => [
      name,
      list.sort((a, b) => a.row - b.row).map(({ spec }) => spec),
    ]),
  );
}

function fillPart(
  spec: TensorSpec,
  config: Config,
  seed: number,
  begin: number,
  target: Uint8Array,
): void {
  const write = writerOf(spec, config);
  const words = new Uint32Array(CHUNK_BYTES / 4);
  const bytes = new Uint8Array(words.buffer);
  for (let done = 0; done < target.length; ) {
    const chunk = Math.floor((begin + done) / CHUNK_BYTES);
    const from = begin + done - chunk * CHUNK_BYTES;
    const to = Math.min(CHUNK_BYTES, from + target.length - done);
    write(words, seedFrom(`${spec.name}#${chunk}`, seed) || 1, Math.ceil(to / 4));
    target.set(bytes.subarray(from, to), done);
    done += to - from;
  }
}

/** Writes the first `count` words of a chunk. */
type Writer = (words: Uint32Array, state: number, count: number) => void;

/** The next state of xorshift32, whose bits are the random numbers: the cheapest generator that is random enough. */
function xorshift(state: number): number {
  const a = state ^ (state << 13);
  const b = a ^ (a >>> 17);
  return b ^ (b << 5);
}

function writerOf(spec: TensorSpec, config: Config): Writer {
  if (spec.name.endsWith('_blocks')) {
    return (words, state, count) => {
      let bits = state;
      for (let i = 0; i < count; i++) {
        bits = xorshift(bits);
        words[i] = bits;
      }
    };
  }
  if (spec.name.endsWith('_scales')) {
    const table = scaleBytes(spec, config);
    return (words, state, count) => {
      let bits = state;
      for (let i = 0; i < count; i++) {
        bits = xorshift(bits);
        words[i] =
          table[bits & 255]! |
          (table[(bits >>> 8) & 255]! << 8) |
          (table[(bits >>> 16) & 255]! << 16) |
          (table[bits >>> 24]! << 24);
      }
    };
  }
  const table = bf16Values(...normalOf(spec, config));
  return (words, state, count) => {
    let bits = state;
    for (let i = 0; i < count; i++) {
      bits = xorshift(bits);
      words[i] = table[bits & (TABLE_SIZE - 1)]! | (table[bits >>> 20]! << 16);
    }
  };
}

/** Scale bytes for weights with a deviation of about gain / sqrt(inputs), each within a factor of two. */
function scaleBytes(spec: TensorSpec, config: Config): Uint8Array {
  const isGateUp = spec.name.includes('gate_up');
  // With a gain of 2, some gate and up values exceed the clamp at 7.
  const gain = isGateUp ? 2 : 0.7;
  const inputs = isGateUp ? config.hidden : config.intermediate;
  const codeDeviation = Math.sqrt(E2M1.reduce((sum, value) => sum + value * value, 0) / 16);
  const byte = Math.round(127 + Math.log2(gain / Math.sqrt(inputs) / codeDeviation));
  return Uint8Array.from({ length: 256 }, (_, i) => byte + [0, -1, 0, 1][i % 4]!);
}

/** Mean and deviation of a BF16 tensor's values. */
function normalOf({ name }: TensorSpec, config: Config): [mean: number, deviation: number] {
  const { hidden, heads, headDim } = config;
  if (name.endsWith('norm.weight')) return [1, 0.2];
  if (name.endsWith('.sinks')) return [1, 1];
  if (name.includes('embed_tokens')) return [0, 1];
  if (name.includes('lm_head')) return [0, 3 / Math.sqrt(hidden)];
  if (name.endsWith('gate_up_proj_bias')) return [0, 1];
  if (name.endsWith('bias')) return [0, 0.3];
  if (name.includes('o_proj')) return [0, 2 / Math.sqrt(heads * headDim)];
  if (name.includes('router')) return [0, 2 / Math.sqrt(hidden)];
  return [0, 1 / Math.sqrt(hidden)];
}

const normals = Float64Array.from({ length: TABLE_SIZE / 2 }, createRandom(1).normal);

/** Bits of bfloat16 values of a normal distribution, symmetric around the mean. */
function bf16Values(mean: number, deviation: number): Uint16Array {
  return Uint16Array.from({ length: TABLE_SIZE }, (_, i) =>
    toBf16(mean + (i % 2 === 0 ? 1 : -1) * normals[i >>> 1]! * deviation),
  );
}
