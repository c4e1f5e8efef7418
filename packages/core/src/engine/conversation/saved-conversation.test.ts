import { expect, test } from 'vitest';
import { readDetails } from './saved-conversation.ts';

const STEP = {
  toolCalls: [],
  messages: [],
  usage: { completionTokens: 3, reasoningTokens: 0 },
  timings: {},
};

const DETAILS = {
  savedAt: 1,
  model: 'm',
  identity: 'i',
  messages: [{ role: 'user', content: 'Hi' }],
  answer: { start: 2, droppedMessages: 0, logprobs: [], steps: [STEP] },
  state: {
    tokens: [1, 2, 3],
    evaluated: 2,
    ringStart: 0,
    ringEnd: 2,
    snapshots: [{ length: 2, isTurnStart: true }],
  },
  pieces: ['ab'],
};

/** A file with these details, whose hash is right. */
async function fileOf(details: unknown, text = JSON.stringify(details)): Promise<Blob> {
  const json = new TextEncoder().encode(text);
  const end = new Uint8Array(44);
  new DataView(end.buffer).setUint32(0, json.length, true);
  end.set(new Uint8Array(await crypto.subtle.digest('SHA-256', json)), 4);
  end.set(new TextEncoder().encode('ossicle1'), 36);
  return new Blob([json, end]);
}

test('the details of a saved conversation are read as they were written', async () => {
  expect(await readDetails(await fileOf(DETAILS))).toEqual(DETAILS);
  const ended = { ...DETAILS, answer: null };
  expect(await readDetails(await fileOf(ended))).toEqual(ended);
});

test.each([null, 2])(
  'details of an earlier version are read, which says answerStart: %j',
  async (answerStart) => {
    const { answer, ...details } = DETAILS;
    const expected = { ...details, answer: answerStart && { ...answer, steps: [] } };
    expect(await readDetails(await fileOf({ ...details, answerStart }))).toEqual(expected);
  },
);

test('details of an earlier version are read, which has no steps', async () => {
  const { steps: _, ...answer } = DETAILS.answer;
  const read = await readDetails(await fileOf({ ...DETAILS, answer }));
  expect(read).toEqual({ ...DETAILS, answer: { ...answer, steps: [] } });
});

const { state } = DETAILS;

test('details that are no JSON are refused', async () => {
  const { code } = await readDetails(await fileOf({}, '{')).catch((error) => error);
  expect(code).toBe('integrity');
});

test.each<unknown[]>([
  [null],
  [[]],
  [{}],
  [{ ...DETAILS, savedAt: '1' }],
  [{ ...DETAILS, model: undefined }],
  [{ ...DETAILS, messages: {} }],
  [{ ...DETAILS, messages: [null] }],
  [{ ...DETAILS, messages: [{ role: 'user' }] }],
  [{ ...DETAILS, answer: undefined }],
  [{ ...DETAILS, answer: { start: 4, droppedMessages: 0, logprobs: [], steps: [] } }],
  [{ ...DETAILS, answer: { start: -1, droppedMessages: 0, logprobs: [], steps: [] } }],
  [{ ...DETAILS, answer: { start: 2, droppedMessages: 0, logprobs: 'x', steps: [] } }],
  [{ ...DETAILS, answer: { start: 0, droppedMessages: 0, logprobs: [], steps: [] } }],
  [{ ...DETAILS, answer: { start: 1.5, droppedMessages: 0, logprobs: [], steps: [] } }],
  [{ ...DETAILS, answer: { start: 2, logprobs: [], steps: [] } }],
  [{ ...DETAILS, answer: { start: 2, droppedMessages: -1, logprobs: [], steps: [] } }],
  [{ ...DETAILS, answer: { ...DETAILS.answer, steps: null } }],
  [{ ...DETAILS, answer: { ...DETAILS.answer, steps: [null] } }],
  [{ ...DETAILS, answer: { ...DETAILS.answer, steps: [{ ...STEP, toolCalls: {} }] } }],
  [{ ...DETAILS, answer: { ...DETAILS.answer, steps: [{ ...STEP, messages: undefined }] } }],
  [{ ...DETAILS, answer: { ...DETAILS.answer, steps: [{ ...STEP, timings: 1 }] } }],
  [
    {
      ...DETAILS,
      answer: { ...DETAILS.answer, steps: [{ ...STEP, usage: { completionTokens: -1 } }] },
    },
  ],
  [{ ...DETAILS, state: null }],
  [{ ...DETAILS, state: { ...state, tokens: [1, -2, 3] } }],
  [{ ...DETAILS, state: { ...state, tokens: [1, 0.5, 3] } }],
  [{ ...DETAILS, state: { ...state, evaluated: 4 } }],
  [{ ...DETAILS, state: { ...state, ringEnd: -1 } }],
  [{ ...DETAILS, state: { ...state, snapshots: [{ length: 5, isTurnStart: true }] } }],
  [{ ...DETAILS, state: { ...state, snapshots: [2] } }],
  [{ ...DETAILS, state: { ...state, snapshots: [{ length: 2 }] } }],
  [{ ...DETAILS, pieces: [1] }],
])('details that another program has written are refused: %j', async (details) => {
  await expect(readDetails(await fileOf(details))).rejects.toMatchObject({ code: 'integrity' });
});
