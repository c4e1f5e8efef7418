import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { GenerationRecord } from './generation-record.ts';

let now = 0;

beforeEach(() => {
  now = 1000;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});

afterEach(() => vi.restoreAllMocks());

test('a record measures the times from the call to the first token, and from there to the last', () => {
  const record = new GenerationRecord();
  now = 1100; // waits for its turn
  record.startPrefill(50, 10);
  now = 1300;
  record.addToken(7);
  for (const token of [8, 9, 10, 11]) {
    now += 25;
    record.addToken(token);
  }
  now = 5000; // reading the events takes a while
  const result = record.finish('stop', undefined, 3);
  const usage = { promptTokens: 50, reusedTokens: 10, completionTokens: 5, reasoningTokens: 3 };
  const timings = {
    timeToFirstTokenMs: 300,
    prefillMs: 200,
    decodeMs: 100,
    prefillTokensPerSecond: 200, // 40 tokens in 200 ms
    decodeTokensPerSecond: 40, // 4 tokens after the first in 100 ms
  };
  expect(result).toMatchObject({ reason: 'stop', usage, timings });
  expect(record.tokens).toEqual([7, 8, 9, 10, 11]);
});

test('a record takes its times from sampled tokens, and counts forced ones, too', () => {
  const record = new GenerationRecord();
  record.startPrefill(4, 0);
  record.addToken(1, true);
  now += 200;
  record.addToken(2);
  record.addToken(3, true);
  record.addToken(4, true);
  now += 100;
  record.addToken(5);
  expect(record.finish('stop')).toMatchObject({
    usage: { completionTokens: 5 },
    timings: { prefillMs: 200, decodeMs: 100, decodeTokensPerSecond: 30 },
  });
});

test('a record of one token has no decode time', () => {
  const record = new GenerationRecord();
  record.startPrefill(4, 0);
  now = 1010;
  record.addToken(1);
  expect(record.finish('length').timings).toMatchObject({
    prefillMs: 10,
    decodeMs: 0,
    decodeTokensPerSecond: 0,
  });
});

test('a record without tokens is all prefill, or empty if the prefill never began', () => {
  const aborted = new GenerationRecord();
  aborted.startPrefill(4, 0);
  now = 1060;
  expect(aborted.finish('aborted')).toMatchObject({
    usage: { promptTokens: 4, completionTokens: 0, reasoningTokens: 0 },
    timings: { timeToFirstTokenMs: 60, prefillMs: 60, decodeMs: 0 },
  });
  const waiting = new GenerationRecord();
  now = 1090;
  expect(waiting.finish('aborted')).toEqual({
    text: '',
    reasoning: '',
    toolCalls: [],
    messages: [],
    reason: 'aborted',
    usage: { promptTokens: 0, reusedTokens: 0, completionTokens: 0, reasoningTokens: 0 },
    timings: {
      timeToFirstTokenMs: 30,
      prefillMs: 0,
      decodeMs: 0,
      prefillTokensPerSecond: 0,
      decodeTokensPerSecond: 0,
    },
  });
});
