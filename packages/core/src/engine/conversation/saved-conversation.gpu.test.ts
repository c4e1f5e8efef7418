import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCheckpoint } from '../../../test/checkpoint.ts';
import {
  countedDevice,
  difference,
  openTestDevice,
  SMALL,
  smallIds,
  TestDevice,
} from '../../../test/engine.ts';
import type { Engine } from '../engine.ts';
import type { Session } from '../session.ts';

// A window of 16 and passes of 7 tokens: rings that a conversation overwrites.
const OPTIONS = { prefillChunkLength: 7, tune: false } as const;

let gpu: TestDevice;
let engine: Engine;
let liveBuffers: ReadonlyMap<GPUBuffer, string>;
/** Whether the GPU has memory for further buffers. */
let hasMemory = true;

beforeAll(async () => {
  gpu = await openTestDevice();
  const popErrorScope = async (): Promise<unknown> => {
    const scope = await gpu.device.popErrorScope();
    return hasMemory ? scope : { message: 'no memory' };
  };
  const counted = countedDevice(gpu.device, { methods: { popErrorScope } });
  liveBuffers = counted.counts.liveBuffers;
  engine = await new TestDevice(counted.device).engine(createCheckpoint(SMALL).files, OPTIONS);
});

afterAll(async () => {
  engine.dispose();
  await gpu.close();
});

async function save(session: Session): Promise<Blob> {
  const parts: BlobPart[] = [];
  await session.save(async (bytes) => void parts.push(bytes));
  return new Blob(parts);
}

interface Turn {
  readonly reused: number;
  readonly tokens: readonly number[];
  /** Of one more token after the generated ones. */
  readonly logits: Float32Array;
}

async function take(session: Session, prompt: readonly number[]): Promise<Turn> {
  const options = { temperature: 0, maxTokens: 3 };
  const { usage } = await session.generate(Uint32Array.from(prompt), options).result;
  const tokens = [...session.tokens];
  return { reused: usage.reusedTokens, tokens, logits: await session.evaluate([5]) };
}

/** A session that has answered two prompts, of 40 and about 140 tokens. */
async function createConversation(): Promise<Session> {
  const session = engine.createSession();
  await take(session, smallIds(40, 1));
  await take(session, [...session.tokens, ...smallIds(100, 2)]);
  return session;
}

function expectSame(actual: Turn, expected: Turn): void {
  expect(actual.tokens).toEqual(expected.tokens);
  const { max, rms } = difference(actual.logits, expected.logits);
  expect(max).toBeLessThan(1e-3);
  expect(rms).toBeLessThan(1e-4);
}

/** Goes on from the end, then from within the first answer: both sessions do the same and evaluate as much. */
async function expectSameFuture(session: Session, expected: Session): Promise<void> {
  const whole = [...expected.tokens];
  for (const prompt of [
    [...whole, ...smallIds(30, 3)],
    [...whole.slice(0, 43), ...smallIds(70, 4)],
  ]) {
    const turn = await take(session, prompt);
    const other = await take(expected, prompt);
    expect(turn.reused).toBe(other.reused);
    expect(turn.reused).toBeGreaterThan(39);
    expectSame(turn, other);
  }
}

describe('a session that was saved', () => {
  test('goes on where it was, and evaluates nothing again', async () => {
    const session = await createConversation();
    const before = [...session.tokens];
    const saved = await save(session);
    const opened = await engine.openSession(saved);
    const { restoredTokens } = opened;
    expect(opened.tokens).toEqual(before);
    expect(restoredTokens).toBe(before.length);
    await expectSameFuture(opened, session);
    for (const each of [session, opened]) each.dispose();
  });

  test('has its tokens, which are evaluated again, on a model with other weights or another cache', async () => {
    const session = await createConversation();
    const saved = await save(session);
    const other = createCheckpoint(SMALL, { seed: 2 }).files;
    const engines = [
      await gpu.engine(other, OPTIONS),
      await gpu.engine(createCheckpoint(SMALL).files, { ...OPTIONS, kvCache: 'f16' }),
      await gpu.engine(createCheckpoint(SMALL).files, { ...OPTIONS, prefillChunkLength: 60 }),
    ];
    for (const each of engines) {
      const opened = await each.openSession(saved);
      const { restoredTokens } = opened;
      expect(restoredTokens).toBe(0);
      expect(opened.tokens).toEqual(session.tokens);
      const prompt = [...session.tokens, ...smallIds(20, 3)];
      const turn = await take(opened, prompt);
      expect(turn.reused).toBe(0);
      const fresh = each.createSession();
      expectSame(turn, await take(fresh, prompt));
      for (const used of [opened, fresh]) used.dispose();
    }
    session.dispose();
  });

  test('with an 8-bit cache goes on where it was, on a model with such a cache only', async () => {
    const { files } = createCheckpoint(SMALL);
    const int8 = await gpu.engine(files, { ...OPTIONS, kvCache: 'int8' });
    const session = int8.createSession();
    await take(session, smallIds(40, 1));
    const saved = await save(session);
    const opened = await int8.openSession(saved);
    expect(opened.restoredTokens).toBe(session.tokens.length);
    const prompt = [...session.tokens, ...smallIds(20, 3)];
    expectSame(await take(opened, prompt), await take(session, prompt));
    const other = await engine.openSession(saved);
    expect(other.restoredTokens).toBe(0);
    for (const each of [session, opened, other]) each.dispose();
  });

  test('is without tokens on a model whose context is too short for them', async () => {
    const session = await createConversation();
    const saved = await save(session);
    const short = await gpu.engine(createCheckpoint(SMALL).files, {
      ...OPTIONS,
      contextLength: 100,
    });
    const opened = await short.openSession(saved);
    const { restoredTokens } = opened;
    expect([opened.tokens, restoredTokens]).toEqual([[], 0]);
    for (const each of [session, opened]) each.dispose();
  });

  test('is evaluated again if keys or values are damaged; a damaged end is refused', async () => {
    const session = await createConversation();
    const bytes = new Uint8Array(await (await save(session)).arrayBuffer());
    const flipped = (at: number): Blob => new Blob([bytes.with(at, (bytes[at] as number) ^ 1)]);
    for (const at of [0, 5000]) {
      const opened = await engine.openSession(flipped(at));
      const { restoredTokens } = opened;
      expect(restoredTokens).toBe(0);
      expect(opened.tokens).toEqual(session.tokens);
      opened.dispose();
    }
    const { length } = bytes;
    const cuts = [0, 10, length - 1, length - 100].map((end) => new Blob([bytes.slice(0, end)]));
    for (const damaged of [...[1, 20, 60, 300].map((back) => flipped(length - back)), ...cuts]) {
      await expect(engine.openSession(damaged)).rejects.toMatchObject({ code: 'integrity' });
    }
    await expect(engine.openSession(bytes as unknown as Blob)).rejects.toThrow(/must be a Blob/);
    session.dispose();
  });

  test('is evaluated again if the GPU has no memory for its keys and values', async () => {
    const session = await createConversation();
    const saved = await save(session);
    hasMemory = false;
    const opened = await engine.openSession(saved);
    const { restoredTokens } = opened;
    hasMemory = true;
    expect(restoredTokens).toBe(0);
    expect(opened.tokens).toEqual(session.tokens);
    for (const each of [session, opened]) each.dispose();
  });
});

describe('a session saved while it generates', () => {
  test('resumes its answer, which becomes the same as without interruption', async () => {
    const prompt = Uint32Array.from(smallIds(40, 1));
    const options = { temperature: 0, maxTokens: 60 };
    const session = engine.createSession();
    const generation = session.generate(prompt, options);
    const saves: Blob[] = [];
    for await (const { type } of generation) {
      while (type === 'prefill' && saves.length < 6) saves.push(await save(session));
    }
    const whole = [...session.tokens];
    expect(session.isUnfinished).toBe(true); // its tokens have ended, but not its answer
    const lengths = new Set<number>();
    for (const saved of saves) {
      const opened = await engine.openSession(saved);
      const { restoredTokens } = opened;
      const { length } = opened.tokens;
      expect(length).toBeGreaterThan(40);
      expect(restoredTokens).toBeGreaterThanOrEqual(length - 1);
      lengths.add(length);
      expect(opened.isUnfinished).toBe(true);
      const resumed = opened.resume(options);
      const toEvaluate: number[] = [];
      for await (const event of resumed) {
        if (event.type === 'prefill') toEvaluate.push(event.totalTokens - event.processedTokens);
      }
      expect(toEvaluate[0]).toBeLessThanOrEqual(1);
      const { usage, reason } = await resumed.result;
      expect(usage.promptTokens - usage.reusedTokens).toBe(0);
      expect([usage.completionTokens, reason]).toEqual([60, 'length']);
      expect(opened.tokens).toEqual(whole);
      opened.dispose();
    }
    expect(lengths.size).toBeGreaterThan(2);
    session.dispose();
  });

  test('has nothing to resume before it generates, or after more tokens were evaluated', async () => {
    const session = engine.createSession();
    expect(session.isUnfinished).toBe(false);
    await expect(session.resume().result).rejects.toThrow(RangeError);
    await session.generate(Uint32Array.of(1, 2), { maxTokens: 2 }).result;
    await session.evaluate([3]);
    expect(session.isUnfinished).toBe(false);
    session.dispose();
  });
});

describe('a fork', () => {
  test('goes on like the session, which stays as it is, without evaluating anything again', async () => {
    const session = await createConversation();
    const before = [...session.tokens];
    const fork = await session.fork();
    expect(fork.tokens).toEqual(before);
    expect(fork.restoredTokens).toBe(before.length);
    await take(fork, [...before.slice(0, 43), ...smallIds(50, 9)]);
    expect(session.tokens).toEqual(before);
    const second = await session.fork();
    await expectSameFuture(second, session);
    for (const each of [session, fork, second]) each.dispose();
  });

  test('evaluates its tokens again if the GPU has no memory for a copy', async () => {
    const session = await createConversation();
    hasMemory = false;
    const forking = session.fork();
    const fork = await forking;
    hasMemory = true;
    expect(fork.restoredTokens).toBe(0);
    const prompt = [...session.tokens, ...smallIds(20, 3)];
    const turn = await take(fork, prompt);
    expect(turn.reused).toBe(0);
    expectSame(turn, await take(session, prompt));
    for (const each of [session, fork]) each.dispose();
  });
});

test('100 sessions that are forked, saved, opened and disposed of leave no buffer behind', async () => {
  const session = engine.createSession();
  await session.evaluate(smallIds(20, 1));
  const saved = await save(session);
  const count = (): number => liveBuffers.size;
  const before = count();
  for (let i = 0; i < 25; i++) {
    const fork = await session.fork();
    const opened = await engine.openSession(saved);
    const others = [fork, opened, engine.createSession(), await opened.fork()];
    for (const each of others) each.dispose();
    await session.save(async () => undefined);
  }
  await session.evaluate([1]); // after the disposals
  expect(count()).toBe(before);
  session.dispose();
});

test('100 turns, and saves between them, take no more memory than 10', async () => {
  const session = engine.createSession();
  const sizes: number[] = [];
  for (let turn = 1; turn <= 100; turn++) {
    const prompt = Uint32Array.from([...session.tokens, ...smallIds(3, turn)]);
    await session.generate(prompt, { temperature: 0, maxTokens: 1 }).result;
    if (turn % 10 > 0) continue;
    await save(session);
    const bytes = [...liveBuffers.keys()].reduce((sum, { size }) => sum + size, 0);
    sizes.push(bytes);
  }
  expect(session.tokens).toHaveLength(400);
  expect(new Set(sizes).size).toBe(1);
  session.dispose();
});
