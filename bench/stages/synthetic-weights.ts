import type { Buffers } from '../../packages/core/src/gpu/buffers.ts';
import type { Gpu } from '../../packages/core/src/gpu/device.ts';
import type { KvCache } from '../../packages/core/src/model/kv-cache.ts';
import type { Parameter } from '../../packages/core/src/model/weights.ts';
import type { KvCacheFormat } from '../../packages/core/src/types/load.ts';

/** Size of a pattern, which is repeated; not a multiple of a tile's, so that rows differ. */
const PATTERN_BYTES = 4 * 2 ** 20 + 4096;

/** Nibbles of e2m1, without the negative zero, which the tiled layout excludes. */
const NIBBLES = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15];

/** Turns uniform bits into a u32 of each kind of buffer, with values of about 0.03. */
const FILLS = {
  /** f32 in [-1, 1). */
  vector: (bits: number) => floatBits((bits / 2 ** 32) * 2 - 1),
  /** Bytes in [-127, 127]. */
  int8: (bits: number) => bits & 0x7f7f7f7f,
  /** f16 pairs: 0.0004. */
  int8Scales: () => 0x0e8e0e8e,
  /** bf16 pairs of either sign, 2^-7 to 2^-4. */
  bf16: (bits: number) => bf16(bits) | (bf16(bits >>> 16) << 16),
  /** Eight nibbles. */
  blocks: (bits: number) => nibbles(bits),
  /** Bytes of e8m0: 2^-7 and 2^-6. */
  blockScales: (bits: number) => 0x78787878 | (bits & 0x01010101),
  /** f16 pairs of either sign, 2^-2 to 2^-1. */
  f16: (bits: number) => (bits & 0x83ff83ff) | 0x34003400,
  /** Four 7-bit integers of either sign, with a scale of 2^-6: up to 1. */
  int8Quads: (bits: number) => ((bits & 0x0fffffff) | 0x50000000) >>> 0,
} as const;

/** The pattern of each format of keys and values. */
const CACHE_FILLS = { int8: 'int8Quads', f16: 'f16', f32: 'vector' } as const;

/** Fills buffers on the GPU with seeded patterns of valid weights. */
export class WeightFiller {
  readonly #gpu: Gpu;
  readonly #buffers: Buffers;
  readonly #patterns = new Map<keyof typeof FILLS, GPUBuffer>();

  /** @param buffers - Owns the patterns. */
  constructor(gpu: Gpu, buffers: Buffers) {
    this.#gpu = gpu;
    this.#buffers = buffers;
  }

  /** Fills the buffers of a parameter. */
  fillParameter(parameter: Parameter): void {
    switch (parameter.kind) {
      case 'vector':
        this.#fill(parameter.to, 'vector');
        break;
      case 'dense':
        for (const { values, scales } of parameter.to.parts) {
          this.#fill(values, parameter.to.format);
          if (parameter.to.format === 'int8') this.#fill(scales, 'int8Scales');
        }
        break;
      case 'experts':
        for (const { blocks, scales } of parameter.to.parts) {
          this.#fill(blocks, 'blocks');
          this.#fill(scales, 'blockScales');
        }
        break;
    }
  }

  /** Fills keys and values. */
  fillCache({ layers }: KvCache, format: KvCacheFormat): void {
    for (const { keys, values } of layers) {
      for (const buffer of [keys, values]) this.#fill(buffer, CACHE_FILLS[format]);
    }
  }

  #fill(buffer: GPUBuffer, fill: keyof typeof FILLS): void {
    const { device } = this.#gpu;
    const pattern = this.#pattern(fill);
    const encoder = device.createCommandEncoder({ label: 'fill' });
    for (let offset = 0; offset < buffer.size; offset += PATTERN_BYTES) {
      const size = Math.min(PATTERN_BYTES, buffer.size - offset);
      encoder.copyBufferToBuffer(pattern, 0, buffer, offset, size);
    }
    device.queue.submit([encoder.finish()]);
  }

  #pattern(fill: keyof typeof FILLS): GPUBuffer {
    let pattern = this.#patterns.get(fill);
    if (!pattern) {
      let state = 1;
      const words = Uint32Array.from({ length: PATTERN_BYTES / 4 }, () => {
        state ^= state << 13; // xorshift32
        state ^= state >>> 17;
        state ^= state << 5;
        return FILLS[fill](state >>> 0);
      });
      pattern = this.#buffers.storageOf(fill, words);
      this.#patterns.set(fill, pattern);
    }
    return pattern;
  }
}

const FLOAT = new Float32Array(1);
const FLOAT_BITS = new Uint32Array(FLOAT.buffer);

function floatBits(value: number): number {
  FLOAT[0] = value;
  return FLOAT_BITS[0] as number;
}

function bf16(bits: number): number {
  return (bits & 0x8000) | ((120 + ((bits >>> 7) % 3)) << 7) | (bits & 0x7f);
}

function nibbles(bits: number): number {
  let packed = 0;
  for (let shift = 0; shift < 32; shift += 4) {
    packed |= (NIBBLES[((bits >>> shift) & 15) % NIBBLES.length] as number) << shift;
  }
  return packed >>> 0;
}
