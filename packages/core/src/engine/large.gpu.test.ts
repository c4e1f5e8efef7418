import { afterAll, beforeAll, describe, expect, inject } from 'vitest';
import { PRESETS } from '../../test/config.ts';
import { difference, likeliest, openTestDevice, type TestDevice } from '../../test/engine.ts';
import type { LargeReference } from '../../test/large-reference.ts';
import { createLazyCheckpoint } from '../../test/lazy-checkpoint.ts';
import { slowTest } from '../../test/slow.ts';
import type { Engine } from './engine.ts';

const CONFIG = PRESETS['20b-2layers'];

let gpu: TestDevice;
let engine: Engine;
let reference: LargeReference;

beforeAll(async () => {
  reference = inject('largeReference');
  gpu = await openTestDevice();
  const { files } = createLazyCheckpoint(CONFIG);
  engine = await gpu.engine(files, { dense: 'int8', kvCache: 'f16', contextLength: 8192 });
});

afterAll(() => gpu.close());

/** Compares the logits after the `row`th token with the reference's. */
function expectRow(logits: Float32Array, row: number): void {
  const { stride, rows, likeliest: chosen } = reference;
  const sample = logits.filter((_, id) => id % stride === 0);
  const { max, rms } = difference(sample, rows[row]!);
  // Keys and values are rounded to float16; float32 errors turn a few of them the other way.
  expect(rms, `row ${row}`).toBeLessThan(1e-3);
  expect(max, `row ${row}`).toBeLessThan(1e-2);
  expect(likeliest(logits), `row ${row}`).toBe(chosen[row]);
}

describe('two layers of the size of 20b', () => {
  const limitMs = 900_000;

  slowTest(
    'compute the reference’s logits after a few tokens and after single ones, and decode',
    async () => {
      const { tokens, likeliest: chosen } = reference;
      const last = tokens.length - 1;
      const session = engine.createSession();
      const first = tokens.slice(0, 4);
      const logits = await session.evaluate(first, { logits: 'all' });
      expect(logits).toHaveLength(4 * CONFIG.vocabulary);
      for (let row = 0; row < 4; row++) {
        expectRow(logits.subarray(row * CONFIG.vocabulary, (row + 1) * CONFIG.vocabulary), row);
      }
      for (let row = 4; row <= last; row++) {
        expectRow(await session.evaluate(tokens.slice(row, row + 1)), row);
      }
      // All tokens but the last are reused: one token is evaluated, one decoded.
      const prompt = Uint32Array.from(tokens);
      const { usage } = await session.generate(prompt, { temperature: 0, maxTokens: 2 }).result;
      expect(usage).toMatchObject({ promptTokens: 6, reusedTokens: 5, completionTokens: 2 });
      expect(session.tokens[tokens.length]).toBe(chosen[last]);
      session.dispose();
    },
    limitMs,
  );

  slowTest(
    'compute the reference’s logits after a prompt in one pass',
    async () => {
      const { tokens } = reference;
      const session = engine.createSession();
      expectRow(await session.evaluate(tokens), tokens.length - 1);
      session.dispose();
    },
    limitMs,
  );

  slowTest('take the memory that was planned', () => {
    // 880 MB of experts, 579 MB each of embedding and unembedding with 36 MB of scales, and the rest.
    expect(engine.info.gpuBytes).toBeGreaterThan(2.1e9);
    expect(engine.info.gpuBytes).toBeLessThan(2.4e9);
  });
});
