// Full layers have room for 1024 positions at first, and grow with the conversation.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCheckpoint } from '../../test/checkpoint.ts';
import {
  countedDevice,
  type DeviceCounts,
  difference,
  likeliest,
  openTestDevice,
  SMALL,
  smallIds,
  TestDevice,
} from '../../test/engine.ts';
import { runsSlowTests, slowTest } from '../../test/slow.ts';
import type { Engine } from './engine.ts';

const FIRST = 1024;
/** Doubles twice, or once on SwiftShader. */
const CONTEXT = runsSlowTests ? 2100 : 1070;
/** Positions of the whole context, in tiles of 32. */
const WHOLE = runsSlowTests ? 2112 : 1088;

let gpu: TestDevice;
let engine: Engine;
let counts: DeviceCounts;
/** Whether the GPU has memory for further buffers. */
let hasMemory = true;

beforeAll(async () => {
  gpu = await openTestDevice();
  const { device } = gpu;
  const popErrorScope = async () => {
    const scope = await device.popErrorScope();
    return hasMemory ? scope : { message: 'no memory' };
  };
  const counted = countedDevice(device, { methods: { popErrorScope } });
  counts = counted.counts;
  const { files } = createCheckpoint(SMALL);
  engine = await new TestDevice(counted.device).engine(files, { contextLength: CONTEXT });
});

afterAll(async () => {
  engine.dispose();
  await gpu.close();
});

/** The positions that the buffers of the full layer, which is the second of two, have room for. */
function positions(): number[] {
  const bytes = SMALL.kvHeads * 64 * 4;
  return [...counts.liveBuffers]
    .filter(([, label]) => /^session\/(keys|values)\.1$/.test(label))
    .map(([buffer]) => buffer.size / bytes);
}

describe('the cache of a full layer', () => {
  test('doubles when it is full, or grows at once to what a prompt needs, up to the context', async () => {
    const tokens = smallIds(CONTEXT, 3);
    const session = engine.createSession();
    await session.evaluate(tokens.slice(0, CONTEXT - 2));
    expect(positions()).toEqual([WHOLE, WHOLE]);
    const last = await session.evaluate(tokens.slice(CONTEXT - 2));
    await expect(session.evaluate([1])).rejects.toMatchObject({ code: 'context-overflow' });
    session.dispose();
    await gpu.device.queue.onSubmittedWorkDone();
    expect(positions()).toEqual([]);

    const other = engine.createSession();
    let logits = await other.evaluate(tokens.slice(0, 1));
    const growth: readonly (readonly [number, number])[] = runsSlowTests
      ? [
          [FIRST + 1, 2 * FIRST],
          [2 * FIRST, 2 * FIRST],
          [2 * FIRST + 1, WHOLE],
        ]
      : [[FIRST + 1, WHOLE]];
    for (const [end, room] of [
      [FIRST - 1, FIRST],
      [FIRST, FIRST],
      ...growth,
      [CONTEXT, WHOLE],
    ] satisfies readonly (readonly [number, number])[]) {
      logits = await other.evaluate(tokens.slice(other.tokens.length, end));
      expect(positions()).toEqual([room, room]);
    }
    const { max, rms } = difference(logits, last);
    expect(max).toBeLessThan(1e-3);
    expect(rms).toBeLessThan(1e-4);
    other.dispose();
  });

  slowTest('grows between the steps of an answer, which stays the same', async () => {
    const prompt = smallIds(FIRST - 6, 4);
    const session = engine.createSession();
    const options = { temperature: 0, maxTokens: 14 };
    await session.generate(Uint32Array.from(prompt), options).result;
    expect(positions()).toEqual([2 * FIRST, 2 * FIRST]);
    const answer = session.tokens.slice(prompt.length);
    session.dispose();

    const evaluating = engine.createSession();
    let logits = await evaluating.evaluate(prompt);
    const chosen: number[] = [];
    while (chosen.length < 14) {
      chosen.push(likeliest(logits));
      if (chosen.length < 14) logits = await evaluating.evaluate(chosen.slice(-1));
    }
    expect(answer).toEqual(chosen);
    evaluating.dispose();
  });

  slowTest('stays as it is if the GPU has no memory left, and grows later', async () => {
    const session = engine.createSession();
    const tokens = smallIds(FIRST + 20, 5);
    await session.evaluate(tokens.slice(0, FIRST));
    hasMemory = false;
    const failed = session.evaluate(tokens.slice(FIRST));
    await expect(failed).rejects.toMatchObject({ code: 'out-of-memory' });
    const generation = session.generate(Uint32Array.from(tokens.slice(0, FIRST - 2)), {
      temperature: 0,
      maxTokens: 9,
    });
    await expect(generation.result).rejects.toMatchObject({ code: 'out-of-memory' });
    hasMemory = true;
    expect(positions()).toEqual([FIRST, FIRST]);
    const prompt = Uint32Array.from(tokens);
    const { usage } = await session.generate(prompt, { temperature: 0, maxTokens: 1 }).result;
    expect(usage.reusedTokens).toBeGreaterThanOrEqual(FIRST - 2);
    const logits = await session.evaluate([7]);

    const fresh = engine.createSession();
    await fresh.generate(prompt, { temperature: 0, maxTokens: 1 }).result;
    const { max, rms } = difference(logits, await fresh.evaluate([7]));
    expect(max).toBeLessThan(1e-3);
    expect(rms).toBeLessThan(1e-4);
    for (const each of [session, fresh]) each.dispose();
  });
});
