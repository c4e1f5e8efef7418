import {
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import { createCheckpoint } from '../../test/checkpoint.ts';
import { countedDevice, likeliest, loadRuntime, SMALL, smallIds } from '../../test/engine.ts';
import { sharedDevice } from '../../test/shared-device.ts';
import { Buffers, readBuffer } from '../gpu/buffers.ts';
import { Gpu } from '../gpu/device.ts';
import type { Runtime } from '../model/runtime.ts';
import type { GenerateOptions } from '../types/generate.ts';
import { type Constraint, maskOf } from './constraint/constraint.ts';
import { samplingOptions } from './control/sampling-options.ts';
import { Context } from './conversation/context.ts';
import { Decoder } from './decoder.ts';

const PROMPT = smallIds(9, 1);
const GREEDY = samplingOptions({ temperature: 0, seed: 1 });

/** A real device that lists its submits, and can hold back the readbacks of tokens. */
class WatchedDevice {
  /** Dispatches of each submit. */
  readonly submits: number[] = [];
  readonly device: GPUDevice;
  #held: Promise<void> = Promise.resolve();
  #release: () => void = () => undefined;
  #dispatches = 0;

  constructor(device: GPUDevice) {
    const onCall = (method: string): void => {
      if (method === 'dispatchWorkgroups') this.#dispatches++;
      if (method !== 'submit') return;
      this.submits.push(this.#dispatches);
      this.#dispatches = 0;
    };
    const createBuffer = (descriptor: GPUBufferDescriptor): GPUBuffer => {
      const buffer = device.createBuffer(descriptor);
      if (descriptor.label?.startsWith('tokens/')) {
        const map = buffer.mapAsync.bind(buffer);
        const mapAsync = async (mode: number) => Promise.all([map(mode), this.#held]);
        Object.defineProperty(buffer, 'mapAsync', { value: mapAsync });
      }
      return buffer;
    };
    this.device = countedDevice(device, { onCall, methods: { createBuffer } }).device;
  }

  /** Holds back tokens until {@link WatchedDevice.release}. */
  hold(): void {
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#release();
  }
}

let watched: WatchedDevice;
let runtime: Runtime;
let buffers: Buffers;
let context: Context;
let decoder: Decoder;

beforeAll(async () => {
  watched = new WatchedDevice(await sharedDevice());
  const gpu = new Gpu(watched.device);
  buffers = new Buffers(gpu, 'test');
  const { files } = createCheckpoint(SMALL);
  runtime = await loadRuntime(gpu, buffers, files, { dense: 'bf16', contextLength: 256 });
  return () => {
    buffers.dispose();
    gpu.dispose();
  };
});

beforeEach(async () => {
  context = new Context(runtime);
  await context.allocated();
  context.append(PROMPT);
  await context.prefill();
  decoder = new Decoder(runtime, context);
  decoder.start(GREEDY, { prompt: PROMPT });
  watched.submits.length = 0;
});

afterEach(() => {
  decoder.dispose();
  context.dispose();
});

/** A constraint that forces tokens at the given indexes of the answer, once each, and leaves the others free. */
function forcing(forced: Readonly<Record<number, readonly number[]>>): Constraint {
  const left = { ...forced };
  let length = 0;
  return {
    next: () => {
      const tokens = left[length];
      return tokens ? { kind: 'force', tokens } : { kind: 'free' };
    },
    push: () => {
      const [, ...rest] = left[length] ?? [];
      delete left[length];
      length++;
      if (rest.length > 0) left[length] = rest;
    },
  };
}

/** A constraint that allows these tokens in each step. */
function allowing(guides: readonly (readonly number[] | 'free')[]): Constraint {
  let length = 0;
  const masks = guides.map((tokens) => tokens !== 'free' && maskOf(tokens, SMALL.vocabulary));
  return {
    next: () => {
      const mask = masks[length];
      return mask ? { kind: 'mask', mask: () => mask } : { kind: 'free' };
    },
    push: () => {
      length++;
    },
  };
}

/** The greedy continuation of the prompt, with each token evaluated in its own pass. */
async function expectedTokens(
  count: number,
  forced: Readonly<Record<number, readonly number[]>> = {},
  allowed: readonly (readonly number[] | 'free')[] = [],
): Promise<number[]> {
  const plain = new Context(runtime);
  await plain.allocated();
  plain.append(PROMPT);
  const tokens: number[] = [];
  const logits = new Float32Array(runtime.shape.vocabularySize);
  while (tokens.length < count) {
    await plain.readLogits(logits);
    const only = allowed[tokens.length] ?? 'free';
    const masked = logits.map((logit, id) =>
      only === 'free' || only.includes(id) ? logit : -Infinity,
    );
    const next = forced[tokens.length] ?? [likeliest(masked)];
    tokens.push(...next);
    plain.append(next);
  }
  plain.dispose();
  return tokens.slice(0, count);
}

async function collect<T>(values: AsyncIterable<T>, leaveAfter = Infinity): Promise<T[]> {
  const collected: T[] = [];
  for await (const value of values) {
    collected.push(value);
    if (collected.length === leaveAfter) break;
  }
  return collected;
}

/** The ids with a bias, and those that have occurred, as sampling reads them. */
async function readAdjustments() {
  const bytes = await readBuffer(runtime.gpu, runtime.activations.sampling.adjustments);
  const nonZero = (values: ArrayLike<number>, from: number) =>
    Array.from({ length: values.length / 2 }, (_, id) => [id, values[2 * id + from]!]).filter(
      ([, value]) => value !== 0,
    );
  return {
    biases: nonZero(new Float32Array(bytes), 0),
    occurrences: nonZero(new Int32Array(bytes), 1),
  };
}

describe('pipelined decoding', () => {
  test('samples the first token from the prefill’s logits, and evaluates each token before the next', async () => {
    expect(await collect(decoder.pipelined(6))).toEqual(await expectedTokens(6));
    expect(decoder.steps).toBe(5);
  });

  test('submits one step for each token after the first, and none beyond the last', async () => {
    await collect(decoder.pipelined(6));
    const [sample, ...steps] = watched.submits;
    expect(sample).toBe(3); // the passes of sampling
    expect(steps).toHaveLength(5);
    expect(new Set(steps).size).toBe(1);
    expect(steps[0]).toBeGreaterThan(3 + 2 * 7); // two layers
  });

  test('submits only the sampling for a single token', async () => {
    expect(await collect(decoder.pipelined(1))).toHaveLength(1);
    expect(watched.submits).toEqual([3]);
    expect(decoder.steps).toBe(0);
  });

  test('submits four steps before the first token has arrived', async () => {
    watched.hold();
    const tokens = collect(decoder.pipelined(20));
    await vi.waitFor(() => expect(watched.submits).toHaveLength(4));
    await runtime.gpu.device.queue.onSubmittedWorkDone();
    expect(watched.submits).toHaveLength(4);
    watched.release();
    expect(await tokens).toEqual(await expectedTokens(20));
  });

  test('waits for the steps in flight if it is left early, and counts them', async () => {
    const tokens = decoder.pipelined(20);
    await tokens.next();
    watched.hold(); // from the next submit on
    await tokens.next();
    expect(decoder.steps).toBe(watched.submits.length - 1);
    expect(decoder.steps).toBeGreaterThan(2);
    let hasLeft = false;
    const leaving = tokens.return().then(() => {
      hasLeft = true;
    });
    await runtime.gpu.device.queue.onSubmittedWorkDone();
    expect(hasLeft).toBe(false);
    watched.release();
    await leaving;
    expect(decoder.steps).toBe(watched.submits.length - 1);
  });
});

test('attention is dispatched for the keys so far, rounded up to a power of two, with the same bind groups', () => {
  const attend = (step: number) =>
    context.decodeDispatches(step).filter((dispatch) => dispatch.elementsPerWorkgroup === 128);
  const splits = (step: number) => attend(step).map(({ workgroups }) => workgroups[1]);
  const [first, last] = [1, 129].map((keys) => keys - PROMPT.length) as [number, number];
  expect([first, last - 1, last, 256 - PROMPT.length].map(splits)).toEqual([
    [1, 1],
    [1, 1],
    [1, 2], // the sliding layer, and the full one
    [1, 2],
  ]);
  expect(attend(last).map(({ bindGroup }) => bindGroup)).toEqual(
    attend(first).map(({ bindGroup }) => bindGroup),
  );
});

test('starting a generation uploads its sampling options', async () => {
  const draw = async (seed: number): Promise<number[]> => {
    const fresh = new Context(runtime);
    await fresh.allocated();
    fresh.append(PROMPT);
    await fresh.prefill();
    const drawing = new Decoder(runtime, fresh);
    drawing.start(samplingOptions({ temperature: 100, seed }), { prompt: PROMPT });
    const tokens = await collect(drawing.pipelined(8));
    drawing.dispose();
    fresh.dispose();
    return tokens;
  };
  const first = await draw(1);
  expect(await draw(1)).toEqual(first);
  expect(await draw(2)).not.toEqual(first);
  expect(await expectedTokens(8)).not.toEqual(first);
});

describe('stepwise decoding', () => {
  test('yields each token with the logits that it was sampled from', async () => {
    const sampled = await collect(decoder.decode({ maxTokens: 20, withLogits: true }), 3);
    expect(sampled.map(({ token }) => token)).toEqual(await expectedTokens(3));
    for (const { token, logits } of sampled) expect(token).toBe(likeliest(logits!));
  });

  test('submits no step before its token is asked for', async () => {
    await collect(decoder.decode({ maxTokens: 20, withLogits: true }), 3);
    const withDispatches = watched.submits.filter((dispatches) => dispatches > 0); // the others read logits
    const [, step] = withDispatches;
    expect(withDispatches).toEqual([3, step, 3, step, 3]);
    expect(context.evaluated).toBe(PROMPT.length + 2);
  });
});

describe('forced tokens', () => {
  const answer = async (maxTokens: number, constraint: Constraint, leaveAfter?: number) => {
    const tokens = await collect(decoder.decode({ maxTokens, constraint }), leaveAfter);
    return tokens.map(({ token }) => token);
  };

  test.each([
    ['at the beginning', { 0: [7, 8, 9] }],
    ['after free tokens', { 5: [7] }],
    ['twice', { 1: [7, 8], 4: [9, 150] }],
    ['one after the other', { 2: [7], 3: [8, 9] }],
    ['at the end', { 6: [7, 8, 9] }],
  ])('%s become part of the answer and of the context', async (_, forced) => {
    const tokens = await answer(9, forcing(forced));
    const expected = await expectedTokens(9, forced);
    expect(tokens).toEqual(expected);
    expect(context.tokens).toEqual([...PROMPT, ...expected]);
    const [last] = await collect(decoder.decode({ maxTokens: 1 })); // goes on after any of them
    expect([last?.token]).toEqual((await expectedTokens(10, forced)).slice(9));
  });

  test('are evaluated in one pass with the token before them', async () => {
    await answer(9, forcing({ 1: [7, 8, 9, 10, 11] }));
    const [sample, step] = watched.submits;
    const dropped = watched.submits.findIndex((dispatches, i) => i > 0 && dispatches !== step);
    const [pass, ...rest] = watched.submits.slice(dropped);
    expect(pass).toBeGreaterThan(2 * 7);
    expect(rest).toEqual([sample, step, step]);
  });

  test('are cut where the answer ends', async () => {
    const tokens = await answer(4, forcing({ 2: [7, 8, 9] }));
    expect(tokens.slice(2)).toEqual([7, 8]);
    expect(context.tokens).toEqual([...PROMPT, ...tokens]);
  });

  test('belong to the answer as far as they have been read', async () => {
    const forced = { 2: [7, 8, 9] };
    const tokens = await answer(9, forcing(forced), 4);
    expect(tokens).toEqual(await expectedTokens(4, forced));
    expect(context.tokens).toEqual([...PROMPT, ...tokens]);
  });

  test('are counted for penalties, and tokens of dropped steps are not', async () => {
    decoder.start({ ...GREEDY, frequencyPenalty: 1e-6 }, { prompt: PROMPT });
    const tokens = await answer(5, forcing({ 2: [7, 8] }));
    const { occurrences } = await readAdjustments();
    const expected = new Map(PROMPT.map((id) => [id, 1]));
    for (const id of tokens) expected.set(id, ((expected.get(id) ?? 0) + 2) | 1);
    expect(occurrences).toEqual([...expected].sort(([a], [b]) => a - b));
  });
});

describe('a mask', () => {
  const ALLOWED = ['free', [3, 4, 5], [70, 6, 159], 'free', [8, 9], 'free', 'free', [2]] as const;

  test.each([false, true])('leaves only its tokens; with logits: %s', async (withLogits) => {
    const constraint = allowing(ALLOWED);
    const answer = await collect(decoder.decode({ maxTokens: 9, constraint, withLogits }));
    const tokens = answer.map(({ token }) => token);
    expect(tokens).toEqual(await expectedTokens(9, {}, ALLOWED));
    expect(context.tokens).toEqual([...PROMPT, ...tokens]);
    if (withLogits) expect(answer.every(({ logits }) => likeliest(logits!) > 0)).toBe(true);
  });

  test('stays uploaded while it is the same, and free steps after it read none', async () => {
    const { mask, options } = runtime.activations.sampling;
    const same = maskOf([3, 4, 5], SMALL.vocabulary);
    const write = vi.spyOn(runtime.gpu.device.queue, 'writeBuffer');
    let length = 0;
    const constraint: Constraint = {
      next: () => (length < 4 ? { kind: 'mask', mask: () => same } : { kind: 'free' }),
      push: () => {
        length++;
      },
    };
    await collect(decoder.decode({ maxTokens: 8, constraint }));
    const count = (buffer: GPUBuffer) => write.mock.calls.filter(([to]) => to === buffer).length;
    expect([count(mask), count(options)]).toEqual([1, 2]);
    write.mockRestore();
  });

  test('that is the same in free steps leaves them pipelined', async () => {
    const mask = maskOf([3, 4, 5, 6, 7], SMALL.vocabulary);
    const constraint: Constraint = { next: () => ({ kind: 'free', mask }), push: () => undefined };
    watched.hold();
    const tokens = collect(decoder.decode({ maxTokens: 9, constraint }));
    await vi.waitFor(() => expect(watched.submits).toHaveLength(4));
    watched.release();
    const allowed = Array.from({ length: 9 }, () => [3, 4, 5, 6, 7]);
    const answer = (await tokens).map(({ token }) => token);
    expect(answer).toEqual(await expectedTokens(9, {}, allowed));
  });

  test('is computed while the GPU evaluates the last token', async () => {
    const submitsBefore: number[] = [];
    const mask = maskOf([3, 4], SMALL.vocabulary);
    const constraint: Constraint = {
      next: () => ({
        kind: 'mask',
        mask: () => {
          submitsBefore.push(watched.submits.length);
          return mask;
        },
      }),
      push: () => undefined,
    };
    await collect(decoder.decode({ maxTokens: 3, constraint }));
    expect(submitsBefore).toEqual([0, 2, 4]);
    expect(watched.submits).toHaveLength(5);
  });
});

test.each<[string, readonly number[] | 'free', readonly number[]]>([
  ['any token may come', 'free', Array.from({ length: SMALL.vocabulary }, (_, id) => id)],
  ['a mask leaves some', [3, 4], [3, 4, 9]],
])('a bias that excludes all tokens is named if %s', async (_, allowed, excluded) => {
  const logitBias = new Map(excluded.map((id) => [id, -Infinity]));
  decoder.start(samplingOptions({ temperature: 0, logitBias }), { prompt: PROMPT });
  const answer = collect(decoder.decode({ maxTokens: 3, constraint: allowing([allowed]) }));
  await expect(answer).rejects.toThrow(RangeError);
  await expect(answer).rejects.toThrow(/^logitBias excludes every token that may come next/);
});

test('starting a generation uploads what changes logits by token, if something does', async () => {
  const { gpu, activations, shape } = runtime;
  const { adjustments } = activations.sampling;
  const written = vi.spyOn(gpu.device.queue, 'writeBuffer');
  onTestFinished(() => written.mockRestore());
  const start = (options: GenerateOptions) => {
    written.mockClear();
    decoder.start(samplingOptions(options), {
      prompt: [0, 31, 7, 31],
      answer: [7, 7, 5],
      exempt: [0],
    });
    return written.mock.calls.filter(([buffer]) => buffer === adjustments).length;
  };
  expect(start({ temperature: 0.5, topK: 3 })).toBe(0);
  expect(start({ presencePenalty: 1 })).toBe(1);
  expect(start({ frequencyPenalty: -1 })).toBe(1);
  expect(start({ repetitionPenalty: 1.1 })).toBe(1);
  expect(start({ logitBias: { 3: 1.5, 9: -Infinity } })).toBe(1);
  const { biases, occurrences } = await readAdjustments();
  expect(biases).toEqual([
    [3, 1.5],
    [9, -100],
  ]);
  expect(occurrences).toEqual([
    [0, 1 - 2 ** 31],
    [5, 3],
    [7, 5],
    [31, 1],
  ]);
  expect(() => start({ logitBias: new Map([[shape.vocabularySize, 1]]) })).toThrow(RangeError);
});
