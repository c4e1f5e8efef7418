import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCheckpoint } from '../../test/checkpoint.ts';
import { huggingFaceConfig } from '../../test/config.ts';
import { difference, openTestDevice, SMALL, smallIds, type TestDevice } from '../../test/engine.ts';
import { createRandom } from '../../test/random.ts';
import type { Engine } from './engine.ts';
import type { Session } from './session.ts';

// A window of 16 and passes of 7 tokens: a ring of 23 positions, which soon overwrites them.
const WINDOW = 16;
const CHUNK = 7;

let gpu: TestDevice;
let engine: Engine;

beforeAll(async () => {
  gpu = await openTestDevice();
  engine = await gpu.engine(createCheckpoint(SMALL).files, { prefillChunkLength: CHUNK });
});

afterAll(() => gpu.close());

interface Turn {
  /** How many tokens of the prompt were not evaluated again. */
  readonly reused: number;
  readonly generated: readonly number[];
  /** The logits of one more token after the generated ones: they depend on everything that the session keeps. */
  readonly logits: Float32Array;
}

/** Generates after a prompt, then evaluates one more token. */
async function take(session: Session, prompt: readonly number[], maxTokens = 3): Promise<Turn> {
  const options = { temperature: 0, maxTokens };
  const { usage } = await session.generate(Uint32Array.from(prompt), options).result;
  expect(usage).toMatchObject({ promptTokens: prompt.length, completionTokens: maxTokens });
  expect(session.tokens.slice(0, prompt.length)).toEqual(prompt);
  const generated = session.tokens.slice(prompt.length);
  const logits = await session.evaluate([5]);
  return { reused: usage.reusedTokens, generated, logits };
}

/** Takes a turn, and expects the same outcome as in a new session. */
async function takeAsFresh(session: Session, prompt: readonly number[]): Promise<Turn> {
  const turn = await take(session, prompt);
  const fresh = engineOf(session).createSession();
  const expected = await take(fresh, prompt);
  fresh.dispose();
  expect(expected.reused).toBe(0);
  expect(turn.generated).toEqual(expected.generated);
  const { max, rms } = difference(turn.logits, expected.logits);
  expect(max).toBeLessThan(1e-3);
  expect(rms).toBeLessThan(1e-4);
  return turn;
}

const engines = new WeakMap<Session, Engine>();

function createSession(on: Engine = engine): Session {
  const session = on.createSession();
  engines.set(session, on);
  return session;
}

function engineOf(session: Session): Engine {
  return engines.get(session) as Engine;
}

describe('a session', () => {
  test('continues its own conversation from where it ended', async () => {
    const session = createSession();
    let prompt = smallIds(40, 1);
    expect((await takeAsFresh(session, prompt)).reused).toBe(0);
    for (let turn = 0; turn < 4; turn++) {
      const before = session.tokens.length;
      prompt = [...session.tokens, ...smallIds(3 + 9 * turn, turn)];
      expect((await takeAsFresh(session, prompt)).reused).toBe(before);
    }
    session.dispose();
  });

  test('evaluates the last generated token, which has no keys, with the next prompt', async () => {
    const session = createSession();
    const prompt = Uint32Array.from(smallIds(20, 1));
    const options = { temperature: 0, maxTokens: 5 };
    await session.generate(prompt, options).result;
    const next = [...session.tokens, ...smallIds(6, 2)];
    expect(next).toHaveLength(31);
    expect((await takeAsFresh(session, next)).reused).toBe(24);
    session.dispose();
  });

  test('goes back a few tokens within its rings', async () => {
    const session = createSession();
    const prompt = smallIds(60, 1);
    await take(session, prompt, 2);
    // The rings hold positions 40 to 62; the token at 56 attends to 41 to 55.
    const kept = prompt.slice(0, 56);
    expect((await takeAsFresh(session, [...kept, ...smallIds(5, 2)])).reused).toBe(56);
    session.dispose();
  });

  test('goes back to the end of an earlier prompt, however far back it is', async () => {
    const session = createSession();
    const first = smallIds(40, 1);
    await take(session, first);
    const second = [...session.tokens, ...smallIds(100, 2)];
    await take(session, second);
    const edited = [...session.tokens.slice(0, 43), ...smallIds(70, 3)];
    expect((await takeAsFresh(session, edited)).reused).toBe(40);
    expect(edited.length).toBeGreaterThan(40 + 2 * (WINDOW + CHUNK));
    session.dispose();
  });

  test('answers the same prompt after a long answer without evaluating it again', async () => {
    const session = createSession();
    const prompt = smallIds(50, 1);
    await take(session, prompt, 60);
    expect((await takeAsFresh(session, prompt)).reused).toBe(49);
    session.dispose();
  });

  test('drops its tail if the prompt is a prefix of its tokens', async () => {
    const session = createSession();
    const prompt = smallIds(90, 1);
    await take(session, prompt.slice(0, 45));
    await take(session, prompt);
    expect((await takeAsFresh(session, prompt.slice(0, 46))).reused).toBe(45);
    session.dispose();
  });

  test('starts afresh if it keeps no prefix of the prompt', async () => {
    const session = createSession();
    await take(session, smallIds(60, 1));
    expect((await takeAsFresh(session, smallIds(60, 2))).reused).toBe(0);
    const shared = session.tokens.slice(0, 10); // overwritten in the rings, and shorter than any earlier prompt
    expect((await takeAsFresh(session, [...shared, ...smallIds(50, 3)])).reused).toBe(0);
    session.dispose();
  });

  test('evaluates what several prompts begin with twice at most', async () => {
    const session = createSession();
    const policy = smallIds(60, 1);
    const reused: number[] = [];
    for (let content = 2; content < 7; content++) {
      const turn = [...policy, ...smallIds(30, content)];
      reused.push((await (content % 2 ? take : takeAsFresh)(session, turn)).reused);
    }
    expect(reused).toEqual([0, 0, 60, 60, 60]);
    session.dispose();
  });

  test('forgets prompts evenly: the kept ones get closer to each other towards the end', async () => {
    const session = createSession();
    const ends: number[] = [];
    let prompt: readonly number[] = [];
    for (let turn = 0; turn < 9; turn++) {
      prompt = [...session.tokens, ...smallIds(25, turn)];
      ends.push(prompt.length);
      await take(session, prompt);
    }
    const whole = [...session.tokens];
    const reused: number[] = [];
    for (let end = ends.length - 2; end >= 0; end--) {
      const back = [...whole.slice(0, ends[end]! + 1), ...smallIds(2, 99)];
      const turn = end === 5 || end === 1 ? takeAsFresh(session, back) : take(session, back);
      reused.push(ends.indexOf((await turn).reused));
    }
    expect(reused).toEqual([7, 5, 5, 3, 3, -1, -1, -1]);
    session.dispose();
  });

  test('is right after any sequence of continuations, edits and cuts', async () => {
    const random = createRandom(11);
    const session = createSession();
    let reused = 0;
    for (let turn = 0; turn < 8; turn++) {
      const held = session.tokens.length;
      const kept = random.integer(3) === 0 ? held : random.integer(held + 1);
      const room = 200 - kept;
      const added = smallIds(1 + random.integer(Math.max(1, Math.min(40, room))), 100 + turn);
      reused += (await takeAsFresh(session, [...session.tokens.slice(0, kept), ...added])).reused;
    }
    expect(reused).toBeGreaterThan(0);
    session.dispose();
  });

  test('takes turns with another session of the same engine', async () => {
    const [one, other] = [createSession(), createSession()];
    const prompts = [smallIds(40, 1), smallIds(40, 2)] as const;
    await Promise.all([take(one, prompts[0]), take(other, prompts[1])]);
    const turns = await Promise.all([
      takeAsFresh(one, [...prompts[0], ...smallIds(20, 3)]),
      takeAsFresh(other, [...prompts[1], ...smallIds(20, 4)]),
    ]);
    // 44 positions were in the rings: enough for the token after the prompt.
    expect(turns.map((turn) => turn.reused)).toEqual([40, 40]);
    one.dispose();
    other.dispose();
  });
});

test('a model without sliding layers reuses every prefix', async () => {
  const text = huggingFaceConfig(SMALL).replaceAll('sliding_attention', 'full_attention');
  const damage = { kind: 'content', file: 'config.json', content: text } as const;
  const { files } = createCheckpoint(SMALL, { damage });
  const session = createSession(await gpu.engine(files, { prefillChunkLength: CHUNK }));
  const prompt = smallIds(90, 1);
  await take(session, prompt);
  expect((await takeAsFresh(session, [...prompt.slice(0, 10), ...smallIds(50, 2)])).reused).toBe(
    10,
  );
  session.dispose();
});
