import { createParser, createTokenizer, specialTokens, type Tokenizer } from '@ossicle/harmony';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCheckpoint } from '../../../test/checkpoint.ts';
import { PRESETS } from '../../../test/config.ts';
import { countedDevice, openTestDevice, SMALL, TestDevice } from '../../../test/engine.ts';
import { readTestJson } from '../../../test/files.ts';
import { runsSlowTests } from '../../../test/slow.ts';
import type { GenerateOptions, GenerateResult } from '../../types/generate.ts';
import type { Engine } from '../engine.ts';
import type { Session } from '../session.ts';

let gpu: TestDevice;
let counted: ReturnType<typeof countedDevice>;
let tokenizer: Tokenizer;
let engine: Engine;
let session: Session;

beforeAll(async () => {
  gpu = await openTestDevice();
  counted = countedDevice(gpu.device);
  const { vocabulary, specialIds } = PRESETS.nano;
  const { files } = createCheckpoint({ ...SMALL, vocabulary, specialIds: specialIds! });
  const json = await readTestJson('demo/public/models/gpt-oss-nano/tokenizer.json');
  tokenizer = createTokenizer(json);
  const tokenizerFile = new File([JSON.stringify(json)], 'tokenizer.json');
  engine = await new TestDevice(counted.device).engine([...files, tokenizerFile], {
    contextLength: 1024,
  });
  session = engine.createSession();
});

afterAll(async () => {
  engine.dispose();
  await gpu.close();
});

const PARAMETERS = {
  type: 'object',
  properties: {
    place: { enum: ['here', 'there'] },
    count: { type: 'integer', minimum: 1, maximum: 99 },
  },
  required: ['place', 'count'],
};
const TOOLS = [{ name: 'look', parameters: PARAMETERS }];
const WILD: GenerateOptions = { temperature: 1.5, maxTokens: 60, systemMessage: null };

/** Answers of which every header is looked at: OSSICLE_HEADER_TURNS in Node. */
const HEADER_TURNS: number = runsSlowTests
  ? Number(globalThis.process?.env.OSSICLE_HEADER_TURNS ?? 40)
  : 8;

const generate = (options: GenerateOptions): Promise<GenerateResult> =>
  session.generate('Hi', { ...WILD, ...options }).result;

/** The answer's tokens, all of them. */
function answerOf({ usage }: GenerateResult): number[] {
  return session.tokens.slice(-usage.completionTokens);
}

describe('a model of random weights', () => {
  test('writes well-formed headers only', async () => {
    // Most messages end early, so that their headers are looked at.
    const logitBias = { [specialTokens(tokenizer).end]: 40 };
    const channels = new Set<string | undefined>();
    let [headers, messages] = [0, 0];
    for (let seed = 0; seed < HEADER_TURNS; seed++) {
      const result = await generate({ tools: TOOLS, seed, logitBias, maxTokens: 20 });
      const parser = createParser(tokenizer);
      for (const event of answerOf(result).flatMap((id) => parser.push(id))) {
        if (event.type === 'message-start') {
          headers++;
          channels.add(event.channel);
        }
        if (event.type !== 'message-end') continue;
        messages++;
        expect(event.repaired).toBe(false);
      }
    }
    expect(channels.size).toBeGreaterThan(1);
    expect(headers).toBeGreaterThanOrEqual(HEADER_TURNS);
    expect(messages).toBeGreaterThan(HEADER_TURNS / 2);
  });

  test('goes on with an answer to token ids as freely as it began', async () => {
    const { start, channel, message } = specialTokens(tokenizer);
    const [role, name] = ['assistant', 'analysis'].map((word) => tokenizer.encode(word));
    const prompt = Uint32Array.from([start, ...role!, channel, ...name!, message]);
    const options = { temperature: 0, logitBias: { [start]: 100 } };
    await session.generate(prompt, { ...options, maxTokens: 6 }).result;
    const atOnce = [...session.tokens];
    await session.generate(prompt, { ...options, maxTokens: 3 }).result;
    await session.resume({ ...options, maxTokens: 6 }).result;
    expect(session.tokens).toEqual(atOnce);
  });

  test('calls the tool that it must call, with arguments that follow its schema', async () => {
    const validate = new Ajv2020().compile(PARAMETERS);
    let calls = 0;
    for (let seed = 0; seed < 6; seed++) {
      const channels = ['commentary'] as const;
      const systemMessage = { channels };
      const { reason, toolCalls } = await generate({
        tools: TOOLS,
        toolChoice: 'required',
        seed,
        systemMessage,
      });
      if (reason === 'length') continue;
      expect(reason).toBe('tool-calls');
      expect(toolCalls.map(({ name }) => name)).toEqual(['look']);
      expect(validate(toolCalls[0]!.input), toolCalls[0]!.inputText).toBe(true);
      calls++;
    }
    expect(calls).toBeGreaterThan(3);
  });

  const final: GenerateOptions = { systemMessage: { channels: ['final'] } };

  test.each<[string, GenerateOptions]>([
    ['greedily', { temperature: 0 }],
    ['with logprobs', { logprobs: 2 }],
    ['by top-k', { topK: 5 }],
    ['by top-p', { topP: 0.5 }],
    ['by min-p', { minP: 0.2, repetitionPenalty: 1.2 }],
  ])('answers in the form that is asked for, %s', async (_, options) => {
    const responseFormat = { type: 'json', schema: PARAMETERS } as const;
    const result = await generate({ ...final, ...options, responseFormat, seed: 5 });
    expect(result.reason).toBe('stop');
    expect(new Ajv2020().compile(PARAMETERS)(result.json), result.text).toBe(true);
    expect(result.usage.completionTokens).toBe(answerOf(result).length);
    if (!options.logprobs) return;
    expect(result.logprobs!.map(({ id }) => id)).toEqual(answerOf(result));
    expect(result.logprobs!.every(({ logprob, top }) => logprob > -100 && top.length === 2)).toBe(
      true,
    );
  });

  test('answers by a pattern or a choice, and is cut short by maxTokens', async () => {
    const regex = await generate({
      ...final,
      responseFormat: { type: 'regex', pattern: '^[a-f]{3}$' },
    });
    expect(regex.text).toMatch(/^[a-f]{3}$/);
    expect(regex.json).toBeUndefined();
    const options = ['yes', 'no', 'äh'];
    const choice = await generate({ ...final, responseFormat: { type: 'choice', options } });
    expect(options).toContain(choice.text);
    const responseFormat = { type: 'json', schema: PARAMETERS } as const;
    const cut = await generate({ ...final, responseFormat, maxTokens: 7 });
    expect([cut.reason, cut.usage.completionTokens]).toEqual(['length', 7]);
  });

  test('stops at a stop string within a form', async () => {
    const responseFormat = { type: 'regex', pattern: '^a{5}b{5}$' } as const;
    const { text, reason } = await generate({ ...final, responseFormat, stop: ['bb'] });
    expect([text, reason]).toEqual(['aaaaa', 'stop']);
  });

  test('is refused options that cannot be enforced before anything runs', async () => {
    const before = counted.counts.calls.get('submit');
    const responseFormat = { type: 'json', schema: { contains: {} } } as const;
    await expect(generate({ responseFormat })).rejects.toThrow(/responseFormat cannot be enforced/);
    expect(counted.counts.calls.get('submit')).toBe(before);
  });

  test('takes one submit and no upload per token where its text is free', async () => {
    const prompt = '<|start|>assistant<|channel|>analysis<|message|>';
    const parts = prompt.split(/(?<=>)|(?=<)/).filter((part) => part !== '');
    const ids = parts.flatMap((part) => tokenizer.tokenId(part) ?? tokenizer.encode(part));
    const calls = async (maxTokens: number, options: GenerateOptions): Promise<number[]> => {
      const before = new Map(counted.counts.calls);
      const { usage } = await session.generate(Uint32Array.from(ids), {
        temperature: 0,
        maxTokens,
        ...options,
      }).result;
      expect(usage.completionTokens).toBe(maxTokens);
      const names = ['submit', 'writeBuffer', 'dispatchWorkgroups', 'createBindGroup'];
      return names.map((name) => (counted.counts.calls.get(name) ?? 0) - (before.get(name) ?? 0));
    };
    const perToken = async (options: GenerateOptions): Promise<number[]> => {
      await calls(4, options);
      const short = await calls(4, options);
      const long = await calls(14, options);
      return long.map((count, i) => (count - short[i]!) / 10);
    };
    const free = await perToken({});
    expect(free.slice(0, 2)).toEqual([1, 0]);
    expect(await perToken({ tools: TOOLS })).toEqual(free);
  });
});
