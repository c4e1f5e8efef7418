import { expect, test } from 'vitest';
import { Answer, answerText, endedParts } from './answer.ts';

test('events become parts in order of arrival, with the time of the reasoning', () => {
  const answer = new Answer();
  answer.add({ type: 'prefill', processedTokens: 9, totalTokens: 9 }, 50);
  answer.add({ type: 'reasoning-delta', text: 'Paris ' }, 100);
  answer.add({ type: 'reasoning-delta', text: 'time' }, 400);
  const call = {
    id: '1',
    name: 'get_time',
    input: { city: 'Paris' },
    inputText: '{"city":"Paris"}',
  };
  answer.add({ type: 'tool-call', ...call }, 500);
  answer.add({ type: 'tool-result', id: '1', name: 'get_time', output: { time: '06:30' } }, 600);
  answer.add({ type: 'text-delta', text: 'It is ', channel: 'final' }, 700);
  answer.add({ type: 'text-delta', text: '06:30.', channel: 'final' }, 900);
  expect(answer.parts).toEqual([
    { kind: 'reasoning', text: 'Paris time', ms: 300 },
    {
      ...{ kind: 'tool', id: '1', name: 'get_time', input: '{"city":"Paris"}' },
      ...{ state: 'done', output: '{"time":"06:30"}' },
    },
    { kind: 'text', text: 'It is 06:30.' },
  ]);
  expect(answerText(answer.parts)).toBe('It is 06:30.');
});

test('a reasoning that text follows has lasted until then', () => {
  const answer = new Answer();
  answer.add({ type: 'reasoning-delta', text: 'Hm' }, 100);
  answer.add({ type: 'text-delta', text: 'Yes', channel: 'final' }, 350);
  expect(answer.parts[0]).toEqual({ kind: 'reasoning', text: 'Hm', ms: 250 });
});

test('a call waits for approval, whichever comes first: the question or its event', () => {
  const call = { id: '1', name: 'get_time', input: {}, inputText: '{}' };
  const early = new Answer();
  early.setAsking('1', true);
  early.add({ type: 'tool-call', ...call }, 0);
  expect(early.parts).toMatchObject([{ state: 'asking' }]);
  early.setAsking('1', false);
  early.add({ type: 'tool-error', id: '1', name: 'get_time', error: 'Refused' }, 0);
  expect(early.parts).toMatchObject([{ state: 'failed', output: 'Refused' }]);
});

test('calls without a result have failed once the answer has ended', () => {
  const call = { kind: 'tool', id: '1', name: 'clock', input: '{}' } as const;
  const done = { ...call, state: 'done', output: '12:00' } as const;
  const open = [
    { ...call, state: 'asking' },
    { ...call, state: 'running' },
  ] as const;
  const stopped = { ...call, state: 'stopped', output: 'Stopped' };
  expect(endedParts([done, ...open], 'Stopped')).toEqual([done, stopped, stopped]);
});

test('an answer that goes on keeps the steps before, and is shown as before until more has arrived', () => {
  const tool = {
    ...{ kind: 'tool' as const, id: '1', name: 'get_time', input: '{}' },
    ...{ state: 'done' as const, output: '"06:30"' },
  };
  const before = [tool, { kind: 'reasoning' as const, text: 'So it', ms: 400 }];
  const answer = Answer.resumed(before);
  answer.add({ type: 'reasoning-delta', text: 'So' }, 10_000);
  expect(answer.parts).toBe(before);
  answer.add({ type: 'reasoning-delta', text: ' it is' }, 10_100);
  expect(answer.parts).toEqual([tool, { kind: 'reasoning', text: 'So it is', ms: 500 }]);
});
