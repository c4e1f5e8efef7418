import { expect, test } from 'vitest';
import { call, createModel, tool } from '../../test/scripted-model.ts';
import type { Message } from '../types/generate.ts';
import { EventStream } from './event-stream.ts';
import { stepCountIs } from './stop-conditions.ts';
import { type GenerateStep, Transcript } from './transcript.ts';

const [EARLIER, LATER]: readonly Message[] = [
  { role: 'user', content: 'Earlier' },
  { role: 'user', content: 'Later' },
];

test('an answer is resumed after the generations that were called before', async () => {
  const model = createModel('cut short', [call('add', {})], 'done');
  let last: Promise<unknown> = Promise.resolve();
  const generateStep: GenerateStep = (input, options) => {
    const before = last;
    const generation = new EventStream(async () => {
      await before; // steps take turns
      transcript.begin(input);
      const given = input === 'resume' ? transcript.messages : input;
      const result = await model.generateOnce(given, options).result;
      const all = { ...result, ...(result.text === 'cut short' && { reason: 'length' as const }) };
      transcript.end(all);
      return all;
    });
    last = generation.result;
    return generation;
  };
  const start = { messages: [EARLIER!], isUnfinished: true };
  const transcript: Transcript = new Transcript(generateStep, start);
  const cut = transcript.generate([LATER!], {}).result;
  const tools = [tool('add', () => 3)];
  const resumed = transcript.resume({ tools, stopWhen: stepCountIs(2) }).result;
  expect((await cut).reason).toBe('length');
  const { messages } = await resumed;
  expect(model.prompts).toEqual([[LATER], [LATER], [LATER, ...messages.slice(0, -1)]]);
  expect(transcript.messages).toEqual([LATER, ...messages]);
});
