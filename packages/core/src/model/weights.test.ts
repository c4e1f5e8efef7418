import { describe, expect, test } from 'vitest';
import { huggingFaceConfig, PRESETS } from '../../test/config.ts';
import { tensorTable } from '../../test/tensor-table.ts';
import type { Buffers } from '../gpu/buffers.ts';
import { parseConfig } from './config.ts';
import { allocateWeights, weightBytes } from './weights.ts';

/** Allocates the weights of a preset without a GPU: a buffer is its label and its size. */
function allocate(preset: '20b' | '120b' | 'tiny', format: 'int8' | 'bf16', bindingBytes: number) {
  const sizes: number[] = [];
  const storage = (label: string, sizeBytes: number) => {
    sizes.push(sizeBytes);
    return { label, size: sizeBytes };
  };
  const config = parseConfig(JSON.parse(huggingFaceConfig(PRESETS[preset])));
  const allocated = allocateWeights(
    config,
    { storage } as unknown as Buffers,
    format,
    bindingBytes,
  );
  return { ...allocated, config, sizes };
}

describe('the weights', () => {
  test.each(['20b', '120b', 'tiny'] as const)(
    'of %s are exactly the published tensors',
    (preset) => {
      const { parameters } = allocate(preset, 'int8', 2 ** 30);
      // Blocks and scales form one parameter, with the shape of the decoded numbers.
      const published = tensorTable(PRESETS[preset], 'original').flatMap(({ name, shape }) => {
        if (name.endsWith('.scales')) return [];
        if (!name.endsWith('.blocks')) return [{ name, shape }];
        const [experts, rows, blocks] = shape as readonly [number, number, number];
        return [{ name: name.slice(0, -'.blocks'.length), shape: [experts, rows, 32 * blocks] }];
      });
      expect(parameters).toHaveLength(published.length);
      const shapes = new Map(parameters.map(({ name, shape }) => [name, shape]));
      for (const { name, shape } of published) expect(shapes.get(name), name).toEqual(shape);
    },
  );

  test.each([
    ['20b', 'int8', 2 ** 30],
    ['20b', 'bf16', 2 ** 27],
    ['120b', 'int8', 2 ** 27],
    ['tiny', 'bf16', 2 ** 27],
  ] as const)(
    'of %s with %s matrices take as many bytes as weightBytes() returns',
    (preset, format, bindingBytes) => {
      const { config, sizes } = allocate(preset, format, bindingBytes);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(weightBytes(config, format));
      expect(Math.max(...sizes)).toBeLessThanOrEqual(bindingBytes);
    },
  );

  test.each(['20b', '120b'] as const)(
    'of %s are unsplit matrices if bindings of 1 GiB are allowed',
    (preset) => {
      const { weights } = allocate(preset, 'int8', 2 ** 30);
      const matrices = [
        weights.embedding,
        weights.unembedding,
        ...weights.block.flatMap(({ attn, mlp }) => [
          attn.qkv.weight,
          attn.out.weight,
          mlp.gate.weight,
          mlp.mlp1,
          mlp.mlp2,
        ]),
      ];
      for (const { label, parts } of matrices) expect(parts, label).toHaveLength(1);
    },
  );
});
