import { beforeAll, describe, expect, test } from 'vitest';
import type { Config } from './config.ts';
import {
  readGoldenJson,
  readGoldenTensors,
  readTiny,
  type TinyCheckpoint,
  type TinyGreedy,
  type TinyLogitRows,
  type TinyPrompts,
} from './golden.ts';
import { decodeMxfp4, tensorValues } from './number-formats.ts';
import { attention, rmsNorm, route, swiglu, yarnFrequencies } from './oracles.ts';
import { createReference, type Operations, type Reference } from './reference.ts';
import type { Tensor } from './safetensors-file.ts';

let tiny: TinyCheckpoint;
let prompts: TinyPrompts['prompts'];
let rows: TinyLogitRows['prompts'];
let logits: Map<string, Tensor>;
let reference: Reference;

beforeAll(async () => {
  tiny = await readTiny('hf');
  ({ prompts } = await readGoldenJson<TinyPrompts>('tiny/golden/prompts.json'));
  ({ prompts: rows } = await readGoldenJson<TinyLogitRows>('tiny/golden/torch_f32_logits.json'));
  logits = await readGoldenTensors('tiny/golden/torch_f32_logits.safetensors');
  reference = createReference(tiny.tensors, tiny.config);
});

/** The difference between a model's logits and the golden ones, over every golden row of a prompt. */
async function compare(model: Reference, name: string): Promise<{ max: number; rms: number }> {
  const { first_position, rows: count } = rows[name]!;
  const wanted = Array.from({ length: count }, (_, i) => first_position + i);
  const actual = await model.forward(prompts[name]!.tokens, { logits: wanted });
  return difference(actual.logits, tensorValues(logits.get(`${name}.logits`)!));
}

function difference(a: Float64Array, b: Float64Array): { max: number; rms: number } {
  expect(a.length).toBe(b.length);
  const errors = a.map((value, i) => Math.abs(value - b[i]!));
  return {
    max: errors.reduce((x, y) => Math.max(x, y), 0),
    rms: Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / errors.length),
  };
}

const PROMPTS = ['p001', 'p005', 'p017', 'p040', 'p130', 'p300', 'edge', 'same'];

describe('the float64 reference on the tiny checkpoint', () => {
  test('is compared on every golden prompt', () => {
    expect(Object.keys(rows).sort()).toEqual([...PROMPTS].sort());
  });

  test.each(PROMPTS)('computes the logits of OpenAI’s float32 reference for %s', async (name) => {
    const { max, rms } = await compare(reference, name);
    // Because of float32 angles, p300 is the farthest from float64: 1.8e-5 rms.
    expect(max).toBeLessThan(2e-4);
    expect(rms).toBeLessThan(3e-5);
  });

  test.each([
    ['p040', 'torch_f32_trace'],
    ['p005', 'torch_f32_trace_p005'],
  ])('computes every intermediate result of %s', async (name, file) => {
    const golden = await readGoldenTensors(`tiny/golden/${file}.safetensors`);
    const { trace } = await reference.forward(prompts[name]!.tokens, { trace: true });
    expect(golden.size).toBeGreaterThan(4 * 14);
    for (const [key, tensor] of golden) {
      const expected = tensorValues(tensor);
      const actual = trace.get(key);
      expect(actual, key).toBeDefined();
      if (key.endsWith('expert_ids')) {
        expect([...actual!], key).toEqual([...expected]);
      } else {
        const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1);
        expect(difference(actual!, expected).max, key).toBeLessThan(1e-5 * largest);
      }
    }
  });

  test('continues every prompt greedily with the same 64 tokens', async () => {
    const { continuations } = await readGoldenJson<TinyGreedy>('tiny/golden/torch_f32_greedy.json');
    expect(Object.keys(continuations)).toEqual(['g0', 'g1', 'g2']);
    for (const [name, { prompt, tokens }] of Object.entries(continuations)) {
      expect(await reference.greedy(prompt, 64), name).toEqual(tokens);
    }
  });

  test('computes the same logits from the original layout', async () => {
    const original = await readTiny('original');
    expect(original.config).toEqual(tiny.config);
    const other = createReference(original.tensors, original.config);
    const tokens = prompts.p040!.tokens;
    expect((await other.forward(tokens)).logits).toEqual((await reference.forward(tokens)).logits);
  });

  test('computes the same logits in pieces as at once', async () => {
    const tokens = prompts.p040!.tokens;
    const sequence = reference.createSequence();
    for (const [start, end] of [
      [0, 1],
      [1, 18],
      [18, 39],
    ] as const) {
      await sequence.append(tokens.slice(start, end), { logits: 'last' });
    }
    const { logits: last } = await sequence.append(tokens.slice(39));
    const whole = await reference.forward(tokens, { logits: 'last' });
    expect(difference(last, whole.logits).max).toBeLessThan(1e-12);
  });
});

describe('in the quantized variants of the reference,', () => {
  test('8-bit dense weights move the logits as measured with OpenAI’s code', async () => {
    const int8 = createReference(tiny.tensors, tiny.config, { dense: 'int8' });
    const { rms } = await compare(int8, 'p040');
    expect(rms).toBeGreaterThan(0.03);
    expect(rms).toBeLessThan(0.5);
  });

  test('a float16 cache moves the logits by less than the float16 tolerance and more than the float32 one', async () => {
    const f16 = createReference(tiny.tensors, tiny.config, { kvCache: 'f16' });
    const { rms, max } = await compare(f16, 'p300');
    expect(rms).toBeGreaterThan(1e-4);
    expect(rms).toBeLessThan(0.03);
    expect(max).toBeLessThan(0.3);
  });
});

interface Mistake {
  readonly name: string;
  readonly config?: (config: Config) => Config;
  readonly operations?: Partial<Operations>;
  /** A prompt that shows it. */
  readonly prompt?: string;
  /** The least distance by which it moves the logits of that prompt. */
  readonly rms?: number;
}

const MISTAKES: readonly Mistake[] = [
  { name: 'a window of one key too many', config: (c) => ({ ...c, window: c.window + 1 }) },
  { name: 'a window of one key too few', config: (c) => ({ ...c, window: c.window - 1 }) },
  {
    name: 'no sinks',
    operations: {
      attention: (input) =>
        attention({ ...input, sinks: input.sinks.map(() => Number.NEGATIVE_INFINITY) }),
    },
  },
  {
    name: 'sinks scaled like scores',
    operations: {
      attention: (input) => attention({ ...input, sinks: input.sinks.map((z) => z / 8) }),
    },
  },
  {
    name: 'interleaved head groups',
    operations: {
      attention: (input) => {
        // query head h reads key/value head h % kvHeads instead of floor(h / group)
        const heads = input.sinks.length;
        const order = Array.from({ length: heads }, (_, h) => h).sort(
          (a, b) => (a % input.kvHeads) - (b % input.kvHeads) || a - b,
        );
        const move = (x: Float64Array, width: number, back: boolean) => {
          const y = new Float64Array(x.length);
          for (let row = 0; row < x.length; row += heads * width) {
            order.forEach((head, i) => {
              const [from, to] = back ? [i, head] : [head, i];
              y.set(x.subarray(row + from * width, row + (from + 1) * width), row + to * width);
            });
          }
          return y;
        };
        const { out, sinkMass } = attention({
          ...input,
          q: move(input.q, input.headDim, false),
          sinks: move(input.sinks, 1, false),
        });
        return { out: move(out, input.headDim, true), sinkMass: move(sinkMass, 1, true) };
      },
    },
  },
  {
    name: 'a rounded YaRN range',
    config: (c) => ({ ...c, yarn: { ...c.yarn, truncate: true } }),
    prompt: 'p300',
    rms: 0.1,
  },
  {
    name: 'unscaled rotary frequencies',
    operations: {
      yarnFrequencies: (headDim, theta, yarn) => ({
        ...yarnFrequencies(headDim, theta, yarn),
        inverse: Float64Array.from(
          { length: headDim / 2 },
          (_, i) => theta ** ((-2 * i) / headDim),
        ),
      }),
    },
    prompt: 'p300',
  },
  {
    name: 'no attention factor',
    operations: {
      yarnFrequencies: (...of) => ({ ...yarnFrequencies(...of), attentionFactor: 1 }),
    },
  },
  {
    name: 'gate and up in halves',
    operations: {
      swiglu: (x, limit) => {
        const width = x.length / 2;
        return swiglu(
          x.map((_, i) => x[Math.floor(i / 2) + (i % 2) * width]!),
          limit,
        );
      },
    },
  },
  { name: 'no clamp', config: (c) => ({ ...c, swigluLimit: Number.POSITIVE_INFINITY }) },
  {
    name: 'up without the 1',
    operations: {
      swiglu: (x, limit) => {
        const half = x.map((value, i) => (i % 2 === 0 ? value : 0));
        const [full, gate] = [swiglu(x, limit), swiglu(half, limit)];
        return full.map((value, i) => value - gate[i]!);
      },
    },
  },
  {
    name: 'swapped nibbles',
    operations: {
      decodeMxfp4: (blocks, scales) =>
        decodeMxfp4(
          blocks.map((byte) => (byte >> 4) | (byte << 4)),
          scales,
        ),
    },
  },
  {
    name: 'expert weights from a softmax over all experts',
    operations: {
      route: (logits, count) => {
        const all = route(logits, logits.length);
        return { ids: all.ids.slice(0, count), weights: all.weights.slice(0, count) };
      },
    },
  },
  {
    name: 'norms of 1 + weight',
    operations: {
      rmsNorm: (x, scale, epsilon) =>
        rmsNorm(
          x,
          scale.map((w) => 1 + w),
          epsilon,
        ),
    },
  },
];

describe('the tolerances detect', () => {
  test.each(MISTAKES)('$name', async ({ config, operations, prompt = 'p040', rms = 0.1 }) => {
    const model = createReference(tiny.tensors, config?.(tiny.config) ?? tiny.config, {
      ...(operations && { operations }),
    });
    expect((await compare(model, prompt)).rms).toBeGreaterThan(rms);
  });
});

test('a gate clamped on both sides does not show in the logits, but in a test of the operation', async () => {
  const twoSided: Operations['swiglu'] = (x, limit) =>
    swiglu(
      x.map((value, i) => (i % 2 === 0 ? Math.max(value, -limit) : value)),
      limit,
    );
  const model = createReference(tiny.tensors, tiny.config, { operations: { swiglu: twoSided } });
  expect((await compare(model, 'p040')).rms).toBeLessThan(1e-4);
  const x = Float64Array.of(-20, 20);
  expect(Math.abs(twoSided(x, 7)[0]! - swiglu(x, 7)[0]!)).toBeGreaterThan(3e-4);
});
