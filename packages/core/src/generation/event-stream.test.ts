import { describe, expect, test } from 'vitest';
import type { GenerateEvent, GenerateResult } from '../types/generate.ts';
import { EventStream } from './event-stream.ts';

const RESULT = { text: 'done', reason: 'stop' } as GenerateResult;

const text = (letters: string): GenerateEvent => ({
  type: 'text-delta',
  text: letters,
  channel: 'final',
});

async function collect(stream: AsyncIterable<GenerateEvent>): Promise<string> {
  let letters = '';
  for await (const event of stream) if (event.type === 'text-delta') letters += event.text;
  return letters;
}

/** A stream, and what a generation uses to feed it. */
function createStream(signal?: AbortSignal) {
  let push: (event: GenerateEvent) => void = () => undefined;
  let stopped: AbortSignal | undefined;
  let end: (result: GenerateResult) => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const stream = new EventStream((pushEvent, either) => {
    push = pushEvent;
    stopped = either;
    return new Promise<GenerateResult>((resolve, reject) => {
      end = resolve;
      fail = reject;
    });
  }, signal);
  return { stream, push, stopped: stopped as AbortSignal | undefined, end, fail };
}

describe('an event stream', () => {
  test('yields events as they come to early readers, and all events to late ones', async () => {
    const { stream, push, end } = createStream();
    const early = collect(stream);
    push(text('a'));
    await Promise.resolve();
    push(text('b'));
    push(text('c'));
    const inBetween = collect(stream);
    end(RESULT);
    expect(await early).toBe('abc');
    expect(await inBetween).toBe('abc');
    expect(await collect(stream)).toBe('abc');
    expect(await stream.result).toBe(RESULT);
  });

  test('ends with a finish event made from the result', async () => {
    const { stream, push, end } = createStream();
    const usage = { promptTokens: 3, reusedTokens: 1, completionTokens: 2, reasoningTokens: 0 };
    const timings = { decodeMs: 7 } as GenerateResult['timings'];
    push(text('a'));
    end({ ...RESULT, usage, timings });
    const events: GenerateEvent[] = [];
    for await (const event of stream) events.push(event);
    expect(events).toEqual([text('a'), { type: 'finish', reason: 'stop', usage, timings }]);
  });

  test('yields the events before a failure and then throws it, to every reader', async () => {
    const { stream, push, fail } = createStream();
    const failure = new Error('lost');
    push(text('a'));
    fail(failure);
    for (let i = 0; i < 2; i++) {
      const seen: GenerateEvent[] = [];
      const read = async () => {
        for await (const event of stream) seen.push(event);
      };
      await expect(read()).rejects.toBe(failure);
      expect(seen).toEqual([text('a')]);
    }
    await expect(stream.result).rejects.toBe(failure);
  });

  test('stops the generation if a reader leaves or the caller aborts', async () => {
    const left = createStream();
    left.push(text('a'));
    for await (const _ of left.stream) break;
    expect(left.stopped!.aborted).toBe(true);

    const controller = new AbortController();
    const aborted = createStream(controller.signal);
    expect(aborted.stopped!.aborted).toBe(false);
    controller.abort('enough');
    expect(aborted.stopped!.reason).toBe('enough');
  });

  test('keeps its events and result if a late reader leaves', async () => {
    const { stream, push, end } = createStream();
    push(text('a'));
    end(RESULT);
    await stream.result;
    for await (const _ of stream) break;
    expect(await collect(stream)).toBe('a');
    expect(await stream.result).toBe(RESULT);
  });
});
