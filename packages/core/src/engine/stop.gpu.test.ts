import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCheckpoint } from '../../test/checkpoint.ts';
import {
  countedDevice,
  difference,
  openTestDevice,
  SMALL,
  smallIds,
  TestDevice,
} from '../../test/engine.ts';
import { createRandom } from '../../test/random.ts';
import { requestDevice } from '../gpu/device.ts';
import type { GenerateEvent, Generation } from '../types/generate.ts';
import type { Engine } from './engine.ts';
import type { Session } from './session.ts';

const OPTIONS = { temperature: 0, maxTokens: 12 } as const;
const LOAD = { contextLength: 128, prefillChunkLength: 7 } as const;

interface Moment {
  callsLeft: number;
  /** Counts only calls for a command encoder with this label; all calls if it is undefined. */
  readonly label: string | undefined;
  readonly action: () => void;
}

let moment: Moment | undefined;

/** Runs an action right before the `count`th call on the device from now on. */
function atCall(count: number, action: () => void): void {
  moment = { callsLeft: count, label: undefined, action };
}

/** Runs an action right before the `count`th token from now on is decoded. */
function atToken(count: number, action: () => void): void {
  moment = { callsLeft: count, label: 'decode', action };
}

function onCall(_: string, [descriptor]: readonly unknown[]): void {
  if (!moment) return;
  if (moment.label && (descriptor as GPUObjectDescriptorBase)?.label !== moment.label) return;
  moment.callsLeft--;
  if (moment.callsLeft === 0) moment.action();
}

let gpu: TestDevice;
let counted: ReturnType<typeof countedDevice>;
let files: readonly File[];
let engine: Engine;
let loadCalls: number;

beforeAll(async () => {
  gpu = await openTestDevice();
  ({ files } = createCheckpoint(SMALL));
  counted = countedDevice(gpu.device, { onCall });
  engine = await new TestDevice(counted.device).engine(files, LOAD);
  loadCalls = countCalls();
});

afterAll(async () => {
  engine.dispose();
  await gpu.close();
});

function countCalls(): number {
  return [...counted.counts.calls.values()].reduce((a, b) => a + b, 0);
}

function ids(count: number, seed: number): Uint32Array {
  return Uint32Array.from(smallIds(count, seed));
}

const PROMPT = ids(20, 1);

/** Waits for a call to settle; fails if it takes a minute. */
async function settle<T>(promise: Promise<T>): Promise<PromiseSettledResult<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('The call did not settle within a minute')), 60_000);
  });
  const [result] = await Promise.allSettled([Promise.race([promise, late])]);
  clearTimeout(timer);
  return result;
}

async function expectError(promise: Promise<unknown>, code: string): Promise<void> {
  expect(await settle(promise)).toMatchObject({ status: 'rejected', reason: { code } });
}

/** Expects the same tokens, and the same logits after them, as in a new session. */
async function expectAsFresh(session: Session, prompt: Uint32Array): Promise<void> {
  const fresh = engine.createSession();
  const [actual, expected] = await Promise.all(
    [session, fresh].map(async (either) => {
      await either.generate(prompt, { ...OPTIONS, maxTokens: 4 }).result;
      return { tokens: [...either.tokens], logits: await either.evaluate([1]) };
    }),
  );
  fresh.dispose();
  expect(actual!.tokens).toEqual(expected!.tokens);
  expect(difference(actual!.logits, expected!.logits).max).toBeLessThan(1e-3);
}

describe('an aborted generation', () => {
  test('evaluates nothing if it was aborted before it began', async () => {
    const session = engine.createSession();
    const generation = session.generate(PROMPT, { ...OPTIONS, signal: AbortSignal.abort() });
    expect(await generation.result).toMatchObject({
      reason: 'aborted',
      usage: { promptTokens: 0, reusedTokens: 0, completionTokens: 0 },
    });
    await expectAsFresh(session, PROMPT);
    session.dispose();
  });

  test('stops between the passes of its prompt', async () => {
    const session = engine.createSession();
    const stop = new AbortController();
    const generation = session.generate(PROMPT, { ...OPTIONS, signal: stop.signal });
    const progress: number[] = [];
    for await (const event of generation) {
      if (event.type === 'prefill') progress.push(event.processedTokens);
      if (progress.length === 2) stop.abort();
    }
    expect(progress.at(-1)).toBeLessThan(20);
    expect(await generation.result).toMatchObject({
      reason: 'aborted',
      usage: { completionTokens: 0 },
    });
    await expectAsFresh(session, ids(30, 2));
    session.dispose();
  });

  test('keeps the tokens that it has generated', async () => {
    const whole = engine.createSession();
    await whole.generate(PROMPT, OPTIONS).result;
    const session = engine.createSession();
    const stop = new AbortController();
    atToken(6, () => stop.abort());
    const generation = session.generate(PROMPT, { ...OPTIONS, signal: stop.signal });
    const { reason, usage } = await generation.result;
    expect(reason).toBe('aborted');
    expect(usage.completionTokens).toBeGreaterThan(0);
    expect(usage.completionTokens).toBeLessThan(12);
    const { tokens } = session;
    expect(tokens).toHaveLength(20 + usage.completionTokens);
    expect(tokens).toEqual(whole.tokens.slice(0, tokens.length));
    await expectAsFresh(session, Uint32Array.from([...tokens, 9, 8, 7]));
    session.dispose();
    whole.dispose();
  });

  test('leaves its session as good as new, at whatever moment it is aborted', async () => {
    const random = createRandom(20);
    const session = engine.createSession();
    const reasons = new Map<string, number>();
    const before = countCalls();
    await session.generate(PROMPT, OPTIONS).result;
    const calls = countCalls() - before;
    for (let round = 0; round < 20; round++) {
      const stop = new AbortController();
      const kept = random.integer(session.tokens.length);
      const prompt = Uint32Array.from([...session.tokens.slice(0, kept), ...ids(2 + round, round)]);
      atCall(1 + random.integer(calls), () => stop.abort());
      const result = session.generate(prompt.slice(0, 40), {
        ...OPTIONS,
        signal: stop.signal,
      }).result;
      const { reason } = await result;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      moment = undefined;
      const next = Uint32Array.from([...prompt.slice(0, 10 + random.integer(30)), 1, 2]);
      await expectAsFresh(session, next);
    }
    expect(reasons.get('aborted')).toBeGreaterThan(5);
    session.dispose();
  });

  test('ends at once while it waits for another one', async () => {
    const [first, second] = [engine.createSession(), engine.createSession()];
    const stop = new AbortController();
    const running = first.generate(PROMPT, OPTIONS);
    const waiting = second.generate(PROMPT, { ...OPTIONS, signal: stop.signal });
    stop.abort();
    expect(await waiting.result).toMatchObject({ reason: 'aborted' });
    expect(await running.result).toMatchObject({ reason: 'length' });
    first.dispose();
    second.dispose();
  });

  test('is also one whose iteration is left', async () => {
    const session = engine.createSession();
    const generation: Generation = session.generate(PROMPT, OPTIONS);
    const seen: GenerateEvent[] = [];
    for await (const event of generation) {
      seen.push(event);
      break;
    }
    expect(seen).toHaveLength(1);
    expect(await generation.result).toMatchObject({ reason: 'aborted' });
    await expectAsFresh(session, PROMPT);
    session.dispose();
  });
});

describe('disposing', () => {
  test.each([
    ['during its prefill', atCall, 100],
    ['while it decodes', atToken, 5],
  ])('of a session %s fails its calls, and leaves other sessions alone', async (_, at, count) => {
    const [session, other] = [engine.createSession(), engine.createSession()];
    const running = session.generate(PROMPT, { ...OPTIONS, maxTokens: 30 }).result;
    const elsewhere = other.generate(PROMPT, { ...OPTIONS, maxTokens: 2 }).result;
    const queued = session.evaluate([1]);
    at(count, () => session.dispose());
    await expectError(running, 'disposed');
    await expectError(queued, 'disposed');
    await expectError(session.evaluate([1]), 'disposed');
    await expectError(session.generate(PROMPT).result, 'disposed');
    expect(await elsewhere).toMatchObject({ reason: 'length' });
    await expectAsFresh(other, PROMPT);
    session.dispose();
    other.dispose();
  });

  test('of a session releases its memory', async () => {
    const before = counted.counts.liveBuffers.size;
    const session = engine.createSession();
    await session.generate(PROMPT, OPTIONS).result;
    await session.generate(ids(30, 4), OPTIONS).result;
    expect(counted.counts.liveBuffers.size).toBeGreaterThan(before + 8);
    session.dispose();
    await engine.createSession().evaluate([1]); // after the disposal, in the queue
    const left = [...counted.counts.liveBuffers.values()].filter((label) => /snapshot/.test(label));
    expect(left).toEqual([]);
  });

  test('of an engine fails all calls, releases all its memory, and leaves the device to its owner', async () => {
    const { device, counts } = countedDevice(gpu.device, { onCall });
    const second = await new TestDevice(device).engine(files, LOAD);
    const [session, other] = [second.createSession(), second.createSession()];
    const running = session.generate(PROMPT, { ...OPTIONS, maxTokens: 30 }).result;
    const queued = other.evaluate(PROMPT);
    atToken(5, () => second.dispose());
    await expectError(running, 'disposed');
    await expectError(queued, 'disposed');
    await expectError(other.evaluate([1]), 'disposed');
    expect(() => second.createSession()).toThrow(/disposed/);
    second.dispose();
    expect([...counts.liveBuffers.values()]).toEqual([]);
    // One of them is the test's own listener for device errors.
    expect(counts.calls.get('addEventListener')).toBe(2);
    expect(counts.calls.get('removeEventListener')).toBe(1);
    await expectAsFresh(engine.createSession(), PROMPT);
  });
});

describe('a lost device', () => {
  test.each([
    ['during a prefill', atCall, 100],
    ['during decoding', atToken, 5],
  ])('%s fails the calls that run or wait, and every later one', async (_, at, count) => {
    const own = await requestDevice();
    const { device } = countedDevice(own, { onCall });
    const lost = await new TestDevice(device).engine(files, LOAD);
    const [session, other] = [lost.createSession(), lost.createSession()];
    const generation = session.generate(PROMPT, { ...OPTIONS, maxTokens: 30 });
    const waiting = other.evaluate(PROMPT, { logits: 'all' });
    at(count, () => own.destroy());
    await expectError(
      (async () => {
        for await (const event of generation) expect(event.type).toBe('prefill');
      })(),
      'device-lost',
    );
    await expectError(generation.result, 'device-lost');
    await expectError(waiting, 'device-lost');
    await expectError(session.evaluate([1]), 'device-lost');
    await expectError(other.generate(PROMPT).result, 'device-lost');
    await expectError(generation.result, 'device-lost');
    lost.dispose();
    await expectError(session.evaluate([1]), 'disposed');
  });

  test('leaves no rejection unhandled, even if it rejects all work in progress', async () => {
    const own = await requestDevice();
    const works: (() => void)[] = [];
    const onSubmittedWorkDone = (): Promise<undefined> =>
      new Promise((_, reject) => {
        works.push(() => reject(new DOMException('The GPU process is gone.', 'OperationError')));
      });
    const lost = await new TestDevice(own).engine(files, LOAD);
    const session = lost.createSession();
    Object.defineProperty(own.queue, 'onSubmittedWorkDone', { value: onSubmittedWorkDone });
    const { result } = session.generate(PROMPT, { ...OPTIONS, maxTokens: 30 });
    while (works.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    own.destroy();
    await own.lost;
    for (const reject of works) reject(); // unhandled, one would end the run of the tests
    await expectError(result, 'device-lost');
    await new Promise((resolve) => setTimeout(resolve, 5));
    lost.dispose();
  });

  test.each([0, 0.3, 0.9])(
    'fails a load that has made the fraction %d of its calls',
    async (fraction) => {
      const own = await requestDevice();
      const { device, counts } = countedDevice(own, { onCall });
      atCall(1 + Math.floor(fraction * loadCalls), () => own.destroy());
      const loading = new TestDevice(device).engine(files, LOAD);
      await expectError(loading, 'device-lost');
      expect([...counts.liveBuffers.values()]).toEqual([]);
    },
  );
});
