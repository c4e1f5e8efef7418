import { describe, expect, test } from 'vitest';
import type { Buffers } from '../gpu/buffers.ts';
import { allocateDense, allocateExperts, denseTileBytes, expertBytes } from './matrix.ts';

const UNEMBEDDING = { label: 'w', rows: 201088, columns: 2880 };

interface Allocation {
  readonly label: string;
  readonly size: number;
}

/** Buffers that record allocations in order. */
function recordingBuffers(): { buffers: Buffers; allocations: Allocation[] } {
  const allocations: Allocation[] = [];
  const storage = (label: string, size: number): Allocation => {
    const allocation = { label, size };
    allocations.push(allocation);
    return allocation;
  };
  return { buffers: { storage } as unknown as Buffers, allocations };
}

describe('a tile of 32 rows', () => {
  test('takes two bytes per bfloat16 number and no scales', () => {
    expect(denseTileBytes('bf16', 96)).toEqual({ values: 32 * 96 * 2, scales: 0 });
  });

  test('takes one byte per int8 number, and one u32 of scales per row and pair of groups, rounded up', () => {
    expect(denseTileBytes('int8', 96)).toEqual({ values: 32 * 96, scales: 32 * 4 * 2 });
    expect(denseTileBytes('int8', 2880)).toEqual({ values: 32 * 2880, scales: 32 * 4 * 45 });
  });

  test('of an expert takes half a byte per number, and one u32 of scales per row and 4 blocks, rounded up', () => {
    expect(expertBytes(5760, 2880)).toEqual({ blocks: 5760 * 1440, scales: 5760 * 4 * 23 });
  });
});

describe('the parts of a dense matrix', () => {
  test('are a single one if the binding limit allows it', () => {
    const { buffers } = recordingBuffers();
    const { parts } = allocateDense(buffers, {
      ...UNEMBEDDING,
      format: 'int8',
      maxBindingBytes: 2 ** 30,
    });
    expect(parts.map(({ firstRow, rows }) => [firstRow, rows])).toEqual([[0, 201088]]);
  });

  test.each([2 ** 27, 2 ** 28, 10 ** 8])(
    'cover the 20b unembedding in order, each within a binding of %d bytes',
    (maxBindingBytes) => {
      const { buffers, allocations } = recordingBuffers();
      const { parts } = allocateDense(buffers, { ...UNEMBEDDING, format: 'bf16', maxBindingBytes });
      let next = 0;
      for (const { firstRow, rows } of parts) {
        expect(firstRow).toBe(next);
        expect(firstRow % 32).toBe(0);
        next += rows;
      }
      expect(next).toBe(201088);
      expect(Math.max(...allocations.map(({ size }) => size))).toBeLessThanOrEqual(maxBindingBytes);
      expect(parts.length).toBe(Math.ceil(201088 / (Math.floor(maxBindingBytes / 184320) * 32)));
    },
  );

  test('keep the rows of a unit together, and round the last part up to whole tiles', () => {
    const { buffers, allocations } = recordingBuffers();
    const limit = 3 * 32 * 96 * 2; // three tiles: one head of 64 rows and a half
    const { parts } = allocateDense(buffers, {
      label: 'w',
      format: 'bf16',
      rows: 3 * 64 + 10,
      columns: 96,
      maxBindingBytes: limit,
      rowsPerUnit: 64,
    });
    expect(parts.map(({ firstRow, rows }) => [firstRow, rows])).toEqual([
      [0, 64],
      [64, 64],
      [128, 64],
      [192, 10],
    ]);
    expect(
      allocations.filter(({ label }) => !label.includes('scales')).map(({ size }) => size),
    ).toEqual([2, 2, 2, 1].map((tiles) => tiles * 32 * 96 * 2));
  });
});

describe('the parts of an expert matrix', () => {
  test('hold as many whole experts as a binding allows', () => {
    const { buffers, allocations } = recordingBuffers();
    const bias = {} as GPUBuffer;
    const { blocks } = expertBytes(5760, 2880);
    const matrix = allocateExperts(buffers, {
      label: 'w',
      experts: 32,
      rows: 5760,
      columns: 2880,
      bias,
      maxBindingBytes: 2 ** 27,
    });
    const perPart = Math.floor(2 ** 27 / blocks);
    expect(perPart).toBeGreaterThan(1);
    expect(matrix.parts.map(({ firstExpert, experts }) => [firstExpert, experts])).toEqual(
      Array.from({ length: Math.ceil(32 / perPart) }, (_, i) => [
        i * perPart,
        Math.min(perPart, 32 - i * perPart),
      ]),
    );
    expect(Math.max(...allocations.map(({ size }) => size))).toBeLessThanOrEqual(2 ** 27);
    expect(matrix.bias).toBe(bias);
  });

  test('hold one expert each if a binding allows no more', () => {
    const { buffers } = recordingBuffers();
    const { parts } = allocateExperts(buffers, {
      label: 'w',
      experts: 3,
      rows: 64,
      columns: 32,
      bias: {} as GPUBuffer,
      maxBindingBytes: 64 * 16,
    });
    expect(parts.map(({ firstExpert, experts }) => [firstExpert, experts])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
  });
});
