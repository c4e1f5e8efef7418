import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCheckpoint } from '../../test/checkpoint.ts';
import { type Config, PRESETS } from '../../test/config.ts';
import {
  countedDevice,
  difference,
  likeliest,
  openTestDevice,
  SMALL,
  smallIds,
  TestDevice,
} from '../../test/engine.ts';
import { readGoldenJson, readTiny, type TinyPrompts } from '../../test/golden.ts';
import { createRandom } from '../../test/random.ts';
import { createReference } from '../../test/reference.ts';
import { runsSlowTests } from '../../test/slow.ts';
import type { Engine } from './engine.ts';

let gpu: TestDevice;

beforeAll(async () => {
  gpu = await openTestDevice();
});

afterAll(() => gpu.close());

/** Expects logits to differ by no more than a different order of float32 operations explains. */
function expectSame(actual: ArrayLike<number>, expected: ArrayLike<number>, of?: string): void {
  const { max, rms } = difference(actual, expected);
  expect(max, of).toBeLessThan(1e-3);
  expect(rms, of).toBeLessThan(1e-4);
}

/** Evaluates tokens in a new session. */
async function evaluateFresh(
  engine: Engine,
  tokens: readonly number[],
  logits: 'last' | 'all' = 'last',
): Promise<Float32Array> {
  const session = engine.createSession();
  const result = await session.evaluate(tokens, { logits });
  session.dispose();
  return result;
}

describe('a prompt', () => {
  const { files } = createCheckpoint(SMALL);
  const tokens = smallIds(130, 1);
  let engine: Engine;
  beforeAll(async () => {
    engine = await gpu.engine(files, { contextLength: 256 });
  });

  test.each([1, 4, 5, 15, 16, 17, 127, 128])(
    'of %i tokens, followed by one more, has the same logits as all of them at once',
    async (count) => {
      const session = engine.createSession();
      await session.evaluate(tokens.slice(0, count));
      const decoded = await session.evaluate(tokens.slice(count, count + 1));
      session.dispose();
      expectSame(decoded, await evaluateFresh(engine, tokens.slice(0, count + 1)));
    },
  );

  test('has the same logits, however it is split into calls', async () => {
    const whole = await evaluateFresh(engine, tokens, 'all');
    const random = createRandom(7);
    for (let round = 0; round < 3; round++) {
      const session = engine.createSession();
      const rows: number[] = [];
      while (session.tokens.length < tokens.length) {
        const count = 1 + random.integer(random.integer(2) === 0 ? 4 : 40);
        const next = tokens.slice(session.tokens.length, session.tokens.length + count);
        rows.push(...(await session.evaluate(next, { logits: 'all' })));
      }
      session.dispose();
      expectSame(rows, whole, `round ${round}`);
    }
  });

  test('of another length takes no more memory', async () => {
    const { device, counts } = countedDevice(gpu.device);
    const counted = await new TestDevice(device).engine(files, { contextLength: 256 });
    const session = counted.createSession();
    await session.evaluate(tokens.slice(0, 1));
    await session.evaluate(tokens.slice(0, 5), { logits: 'all' });
    const before = [...counts.liveBuffers.values()];
    for (const length of [6, 7, 8, 13, 21, 63, 64]) {
      await session.evaluate(tokens.slice(0, length), { logits: length < 10 ? 'all' : 'last' });
    }
    expect([...counts.liveBuffers.values()]).toEqual(before);
    counted.dispose();
  });

  test('makes bind groups only for the first prompt of a conversation, and no buffers', async () => {
    const made: string[] = [];
    const { device } = countedDevice(gpu.device, {
      onCall: (method, [descriptor]) => {
        const { label = '' } = (descriptor ?? {}) as GPUObjectDescriptorBase;
        const isSnapshot = label.startsWith('snapshots/');
        if (['createBindGroup', 'createBuffer'].includes(method) && !isSnapshot) made.push(label);
      },
    });
    const options = { contextLength: 256, prefillChunkLength: 16 };
    const counted = await new TestDevice(device).engine(files, options);
    const session = counted.createSession();
    const answer = (first: number, end: number) =>
      session.generate(Uint32Array.from(tokens.slice(first, end)), { maxTokens: 2 }).result;
    await answer(0, 40);
    expect(made.length).toBeGreaterThan(50);
    made.length = 0;
    for (const length of [44, 9, 61]) {
      const { usage } = await answer(length, 2 * length);
      expect(usage).toMatchObject({ promptTokens: length, reusedTokens: 0 });
    }
    expect(made).toEqual([]);
    counted.dispose();
  });

  test.each([1, 7, 64])(
    'has the same logits in chunks of %i tokens',
    async (prefillChunkLength) => {
      const chunked = await gpu.engine(files, { contextLength: 256, prefillChunkLength });
      expectSame(
        await evaluateFresh(chunked, tokens, 'all'),
        await evaluateFresh(engine, tokens, 'all'),
      );
      const [one, other] = await Promise.all(
        [engine, chunked].map(async (either) => {
          const session = either.createSession();
          const prompt = Uint32Array.from(tokens.slice(0, 40));
          await session.generate(prompt, { temperature: 0, maxTokens: 8 }).result;
          return session.tokens.slice(prompt.length);
        }),
      );
      expect(one).toHaveLength(8);
      expect(other).toEqual(one);
      chunked.dispose();
    },
  );

  test('can fill the context to its last token, and no further', async () => {
    const full = smallIds(256, 2);
    const session = engine.createSession();
    await session.evaluate(full.slice(0, 250));
    expect(await session.evaluate(full.slice(250))).toHaveLength(SMALL.vocabulary);
    await expect(session.evaluate([1])).rejects.toMatchObject({ code: 'context-overflow' });
    session.dispose();

    const generating = engine.createSession();
    const prompt = Uint32Array.from(full.slice(0, 250));
    const { reason, usage } = await generating.generate(prompt, { temperature: 0 }).result;
    expect({ reason, ...usage }).toMatchObject({ reason: 'length', completionTokens: 6 });
    const evaluating = engine.createSession();
    const chosen: number[] = [];
    let logits = await evaluating.evaluate(prompt);
    while (chosen.length < 6) {
      chosen.push(likeliest(logits));
      if (chosen.length < 6) logits = await evaluating.evaluate(chosen.slice(-1));
    }
    expect(generating.tokens.slice(250)).toEqual(chosen);
    evaluating.dispose();
  });
});

/** Small enough for the reference to evaluate thousands of tokens, with the published window and frequencies. */
const LONG: Config = {
  ...PRESETS.tiny,
  layers: 2,
  hidden: 64,
  intermediate: 32,
  heads: 2,
  kvHeads: 1,
  experts: 4,
  vocabulary: 96,
  window: 128,
  specialIds: { bos: 93, pad: 94, eos: 95 },
};

/** Tokens of the longest prompt: 39 windows, or 11 if slow tests are skipped. */
const LONGEST = runsSlowTests ? 5000 : 1400;

describe('a prompt around and far beyond the window', () => {
  const LENGTHS = [1, 126, 127, 128, 129, 299, 300, LONGEST - 1, LONGEST];
  const random = createRandom(5000);
  const tokens = Array.from({ length: LONGEST }, () => random.integer(LONG.vocabulary));
  let engine: Engine;
  let expected: Float64Array;

  beforeAll(async () => {
    const checkpoint = createCheckpoint(LONG);
    engine = await gpu.engine(checkpoint.files, { contextLength: LONGEST + 120 });
    // Later tokens do not affect earlier ones: one pass computes the logits after every length.
    const reference = createReference(checkpoint.tensors, LONG);
    const logits = LENGTHS.map((length) => length - 1);
    expected = (await reference.forward(tokens, { logits })).logits;
  });

  const expectedAfter = (length: number) => {
    const row = LENGTHS.indexOf(length);
    return expected.subarray(row * LONG.vocabulary, (row + 1) * LONG.vocabulary);
  };

  test.each([1, 127, 128, 129, 300])(
    'has the reference’s logits after %i tokens',
    async (length) => {
      expectSame(await evaluateFresh(engine, tokens.slice(0, length)), expectedAfter(length));
    },
  );

  test(`has the reference’s logits after ${LONGEST} tokens, some of them evaluated one by one`, async () => {
    const session = engine.createSession();
    for (const length of LENGTHS) {
      const next = tokens.slice(session.tokens.length, length);
      expectSame(await session.evaluate(next), expectedAfter(length), `${length}`);
    }
    session.dispose();
  });
});

describe.each([
  ['bf16', 65536, 12, ['block.0.mlp.mlp1.blocks']],
  ['int8', 32768, 6, ['block.0.mlp.mlp1.blocks', 'block.3.mlp.mlp2.blocks']],
] as const)(
  'a device with small bindings and %s weights',
  (dense, bindingBytes, chunk, experts) => {
    const options = {
      dense,
      kvCache: 'f32',
      contextLength: 64,
      prefillChunkLength: chunk,
    } as const;

    test('computes the same logits as a device that splits no matrix', async () => {
      const { files } = await readTiny('hf');
      const { device, counts } = countedDevice(gpu.device, {
        limits: { maxStorageBufferBindingSize: bindingBytes },
      });
      const whole = await gpu.engine(files, options);
      const split = await new TestDevice(device).engine(files, options);
      const weights = [...counts.liveBuffers].filter(([, label]) => label.endsWith(':]'));
      for (const [buffer, label] of weights)
        expect(buffer.size, label).toBeLessThanOrEqual(bindingBytes);
      for (const name of [
        'embedding.weight',
        'block.1.attn.qkv.weight',
        'block.2.attn.out.weight',
        'unembedding.weight',
        ...experts,
      ]) {
        const parts = weights.filter(([, label]) => label.startsWith(`model/${name}[`));
        expect(parts.length, name).toBeGreaterThan(1);
      }
      const { prompts } = await readGoldenJson<TinyPrompts>('tiny/golden/prompts.json');
      const { tokens } = prompts.p017!;
      const expected = await evaluateFresh(whole, tokens, 'all');
      expectSame(await evaluateFresh(split, tokens, 'all'), expected, `in chunks of ${chunk}`);
      const session = split.createSession();
      const rows: number[] = [];
      for (const token of tokens) rows.push(...(await session.evaluate([token])));
      expectSame(rows, expected, 'one token at a time');
      whole.dispose();
      split.dispose();
    });
  },
);
