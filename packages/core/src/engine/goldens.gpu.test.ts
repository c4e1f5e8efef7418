import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createVectorCheckpoint, type VectorModel } from '../../test/checkpoint.ts';
import { PRESETS } from '../../test/config.ts';
import {
  difference,
  divergence,
  likeliest,
  openGpuDevice,
  openTestDevice,
  type TestDevice,
} from '../../test/engine.ts';
import {
  readGoldenJson,
  readGoldenTensors,
  readTiny,
  type TinyCheckpoint,
  type TinyGreedy,
  type TinyLogitRows,
  type TinyPrompts,
} from '../../test/golden.ts';
import { tensorValues } from '../../test/number-formats.ts';
import { createReference } from '../../test/reference.ts';
import type { Tensor } from '../../test/safetensors-file.ts';
import { runsSlowTests, slowTest } from '../../test/slow.ts';
import type { Engine } from './engine.ts';

const PROMPTS = ['p001', 'p005', 'p017', 'p040', 'p130', 'p300', 'edge', 'same'];

let gpu: TestDevice;
let tiny: TinyCheckpoint;
let prompts: TinyPrompts['prompts'];
let goldenRows: TinyLogitRows['prompts'];
let goldenLogits: Map<string, Tensor>;
let greedy: TinyGreedy['continuations'];

beforeAll(async () => {
  gpu = await openTestDevice();
  tiny = await readTiny('hf');
  ({ prompts } = await readGoldenJson<TinyPrompts>('tiny/golden/prompts.json'));
  ({ prompts: goldenRows } = await readGoldenJson<TinyLogitRows>(
    'tiny/golden/torch_f32_logits.json',
  ));
  goldenLogits = await readGoldenTensors('tiny/golden/torch_f32_logits.safetensors');
  ({ continuations: greedy } = await readGoldenJson<TinyGreedy>(
    'tiny/golden/torch_f32_greedy.json',
  ));
});

afterAll(() => gpu.close());

/** The logits of a prompt at the positions that have golden ones, and the golden ones: [positions, vocabulary]. */
async function goldenPair(
  engine: Engine,
  name: string,
): Promise<{ actual: Float32Array; expected: Float64Array }> {
  const { first_position: first } = goldenRows[name]!;
  const session = engine.createSession();
  const logits = await session.evaluate(prompts[name]!.tokens, { logits: 'all' });
  session.dispose();
  return {
    actual: logits.subarray(first * tiny.config.vocabulary),
    expected: tensorValues(goldenLogits.get(`${name}.logits`)!),
  };
}

/** Splits [positions, vocabulary] into rows. */
function rowsOf<T extends Float32Array | Float64Array>(logits: T): T[] {
  const { vocabulary } = tiny.config;
  return Array.from(
    { length: logits.length / vocabulary },
    (_, row) => logits.subarray(row * vocabulary, (row + 1) * vocabulary) as T,
  );
}

async function continueGreedily(
  engine: Engine,
  prompt: readonly number[],
  maxTokens = 64,
): Promise<number[]> {
  const session = engine.createSession();
  const { result } = session.generate(Uint32Array.from(prompt), { temperature: 0, maxTokens });
  const { reason, usage } = await result;
  expect(reason).toBe('length');
  expect(usage).toEqual({
    promptTokens: prompt.length,
    reusedTokens: 0,
    completionTokens: maxTokens,
    reasoningTokens: 0,
  });
  const generated = session.tokens.slice(prompt.length);
  session.dispose();
  return generated;
}

describe.each(['hf', 'original'] as const)('the tiny checkpoint in the %s layout', (layout) => {
  // Software adapters get kernels of their own; with the second layout, those of GPUs.
  let device: TestDevice;
  let engine: Engine;
  beforeAll(async () => {
    device = layout === 'hf' ? gpu : await openGpuDevice();
    engine = await device.engine((await readTiny(layout)).files);
  });
  afterAll(() => (layout === 'hf' ? undefined : device.close()));

  async function expectGolden(name: string): Promise<void> {
    const { actual, expected } = await goldenPair(engine, name);
    const { max, rms } = difference(actual, expected);
    expect(max).toBeLessThan(1e-3);
    expect(rms).toBeLessThan(1e-4);
    const goldenTop = rowsOf(expected).map(likeliest);
    expect(rowsOf(actual).map(likeliest)).toEqual(goldenTop);
  }

  // Both layouts hold the same weights (layouts.gpu.test.ts), so short prompts and a few tokens suffice for the second.
  const short = layout === 'hf' ? PROMPTS : ['p005', 'p040', 'edge'];
  const others = PROMPTS.filter((name) => !short.includes(name));
  test.each(short)('computes the golden logits at every position of %s', expectGolden);
  slowTest.each(others)('computes the golden logits at every position of %s', expectGolden);

  const continued = layout === 'hf' ? (['g0', 'g1', 'g2'] as const) : (['g2'] as const);
  test.each(continued)('continues %s greedily with the golden tokens', async (name) => {
    const { prompt, tokens } = greedy[name]!;
    const count = layout === 'hf' && (runsSlowTests || name === 'g1') ? 64 : 12;
    expect(tokens).toHaveLength(64);
    expect(await continueGreedily(engine, prompt, count)).toEqual(tokens.slice(0, count));
  });
});

describe('the tiny checkpoint with a float16 cache', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await gpu.engine(tiny.files, { kvCache: 'f16' });
  });

  test.each(PROMPTS)('stays within float16 precision of the golden logits of %s', async (name) => {
    const { actual, expected } = await goldenPair(engine, name);
    const { max, rms } = difference(actual, expected);
    expect(max).toBeLessThan(0.3);
    expect(rms).toBeLessThan(0.03);
    if (name === 'p300') expect(rms, 'keys and values that are not rounded').toBeGreaterThan(2e-4);
    const actualRows = rowsOf(actual);
    const divergences = rowsOf(expected).map((row, i) => divergence(actualRows[i]!, row));
    expect(divergences.reduce((a, b) => a + b, 0) / divergences.length).toBeLessThan(1e-4);
    rowsOf(expected).forEach((row, i) => {
      const [first, second] = [...row].sort((a, b) => b - a) as [number, number];
      if (first - second > 0.1) expect(likeliest(actualRows[i]!)).toBe(likeliest(row));
    });
  });

  test('agrees with a reference that rounds keys and values to float16', async () => {
    const { tokens } = prompts.p130!;
    const reference = createReference(tiny.tensors, tiny.config, { kvCache: 'f16' });
    const { logits } = await reference.forward(tokens, { logits: 'last' });
    const actual = await engine.createSession().evaluate(tokens);
    // A value rounded to the other side moves by 2^-11: less than the float16 tolerance, more than the float32 one.
    expect(difference(actual, logits).rms).toBeLessThan(0.01);
  });

  test('continues the prompt with the smallest margins greedily with the golden tokens', async () => {
    const { prompt, tokens } = greedy.g1!;
    expect(await continueGreedily(engine, prompt)).toEqual(tokens);
  });
});

describe('the tiny checkpoint with an 8-bit cache', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await gpu.engine(tiny.files, { kvCache: 'int8' });
  });

  test('stays near the golden logits', async () => {
    const { actual, expected } = await goldenPair(engine, 'p130');
    const actualRows = rowsOf(actual);
    const divergences = rowsOf(expected).map((row, i) => divergence(actualRows[i]!, row));
    const mean = divergences.reduce((a, b) => a + b, 0) / divergences.length;
    expect(mean).toBeLessThan(0.02);
    expect(mean, 'keys and values that are not rounded').toBeGreaterThan(1e-4);
  });

  test('agrees with a reference that rounds keys and values to 8 bits', async () => {
    const { tokens } = prompts.p040!;
    const reference = createReference(tiny.tensors, tiny.config, { kvCache: 'int8' });
    const { logits } = await reference.forward(tokens, { logits: 'last' });
    const actual = await engine.createSession().evaluate(tokens);
    expect(difference(actual, logits).rms).toBeLessThan(0.03);
  });
});

describe('the tiny checkpoint with 8-bit dense weights', () => {
  test('agrees with the float64 reference on the same quantised weights', async () => {
    const engine = await gpu.engine(tiny.files, { dense: 'int8', kvCache: 'f32' });
    const reference = createReference(tiny.tensors, tiny.config, { dense: 'int8' });
    for (const name of ['p005', 'p040', 'edge']) {
      const { tokens } = prompts[name]!;
      const first = Math.max(0, tokens.length - 40);
      const wanted = Array.from({ length: tokens.length - first }, (_, i) => first + i);
      const { logits: expected } = await reference.forward(tokens, { logits: wanted });
      const session = engine.createSession();
      const logits = await session.evaluate(tokens, { logits: 'all' });
      session.dispose();
      const actual = logits.subarray(first * tiny.config.vocabulary);
      const { max, rms } = difference(actual, expected);
      expect(max, name).toBeLessThan(1e-3);
      expect(rms, name).toBeLessThan(1e-4);
      expect(rowsOf(actual).map(likeliest), name).toEqual(rowsOf(expected).map(likeliest));
    }
  });

  test('is the default, with a float16 cache', async () => {
    const defaults = { dense: undefined, contextLength: undefined } as object;
    const engine = await gpu.engine(tiny.files, defaults);
    expect(engine.info).toMatchObject({ dense: 'int8', kvCache: 'f16', contextLength: 8192 });
    const reference = createReference(tiny.tensors, tiny.config, {
      dense: 'int8',
      kvCache: 'f16',
    });
    const { tokens } = prompts.p040!;
    const { logits } = await reference.forward(tokens, { logits: 'last' });
    const actual = await engine.createSession().evaluate(tokens);
    expect(difference(actual, logits).rms).toBeLessThan(0.01);
  });
});

interface Vectors {
  readonly tiny_model: VectorModel & {
    readonly token_ids: readonly number[];
    readonly argmax_per_position: readonly number[];
    readonly last_logits: readonly number[];
    readonly position_5_first8: readonly number[];
  };
}

test.each(['hf', 'original'] as const)(
  'the model of gpt-oss-vectors.json computes the recorded logits in the %s layout',
  async (layout) => {
    const { tiny_model: model } = await readGoldenJson<Vectors>('gpt-oss-vectors.json');
    const { files, config } = createVectorCheckpoint(model, PRESETS.tiny, { layout });
    const engine = await gpu.engine(files);
    const logits = await engine.createSession().evaluate(model.token_ids, { logits: 'all' });
    const row = (position: number) =>
      logits.subarray(position * config.vocabulary, (position + 1) * config.vocabulary);
    expect(model.token_ids.map((_, position) => likeliest(row(position)))).toEqual(
      model.argmax_per_position,
    );
    expect(difference(row(39), model.last_logits).max).toBeLessThan(2e-4);
    expect(difference(row(5).subarray(0, 8), model.position_5_first8).max).toBeLessThan(2e-4);
  },
);
