import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestDevice, type TestDevice } from '../../test/engine.ts';
import { testFileUrl } from '../../test/files.ts';
import { readGoldenJson } from '../../test/golden.ts';
import type { Engine } from './engine.ts';

interface Nano {
  readonly conversations: readonly {
    readonly skill: string;
    readonly prompt: string;
    readonly prompt_ids: readonly number[];
    readonly completion: string;
    readonly completion_ids: readonly number[];
    /** The smallest gap between the two best logits over the completion. */
    readonly min_margin: number;
  }[];
}

let gpu: TestDevice;
let conversations: Nano['conversations'];

beforeAll(async () => {
  gpu = await openTestDevice();
  ({ conversations } = await readGoldenJson<Nano>('nano.json'));
});

afterAll(() => gpu.close());

/** What the completion says in a channel, its messages one after another. */
function channelText(completion: string, channel: string): string {
  const header = `<\\|channel\\|>${channel}<\\|message\\|>`;
  const messages = completion.matchAll(new RegExp(`${header}(.*?)<\\|(?:end|return)\\|>`, 'gs'));
  return [...messages].map(([, text]) => text).join('');
}

/** Answers every `step`th prompt greedily; returns those conversations that were not answered as recorded. */
async function answer(engine: Engine, step: number): Promise<Nano['conversations'][number][]> {
  const session = engine.createSession();
  const different: Nano['conversations'][number][] = [];
  for (const conversation of conversations.filter((_, i) => i % step === 0)) {
    const { prompt_ids: prompt, completion_ids: expected, completion, skill } = conversation;
    const options = { temperature: 0, maxTokens: expected.length + 8 };
    const result = await session.generate(Uint32Array.from(prompt), options).result;
    const generated = session.tokens.slice(prompt.length);
    if (generated.join() !== expected.join()) {
      different.push(conversation);
      continue;
    }
    expect(result.usage.completionTokens, skill).toBe(expected.length);
    expect(result.reasoning, skill).toBe(channelText(completion, 'analysis'));
    expect(result.text, skill).toBe(channelText(completion, 'final'));
    const isCall = completion.endsWith('<|call|>');
    expect(result.reason, skill).toBe(isCall ? 'tool-calls' : 'stop');
    expect(result.toolCalls.length > 0, skill).toBe(isCall);
    for (const { name, inputText } of result.toolCalls) {
      expect(completion).toContain(`to=functions.${name}`);
      expect(completion).toContain(`${inputText}<|call|>`);
    }
  }
  session.dispose();
  return different;
}

describe('gpt-oss-nano', () => {
  test('answers every recorded prompt with the recorded tokens, as published', async () => {
    const engine = await gpu.engine(testFileUrl('demo/public/models/gpt-oss-nano'), {
      contextLength: 1024,
    });
    expect(conversations).toHaveLength(50);
    for (const { prompt, prompt_ids: ids } of conversations) {
      expect(engine.tokenizer.decode(ids)).toBe(prompt);
    }
    expect(await answer(engine, 1)).toEqual([]);
  });

  test('answers alike with 8-bit weights, the default, where no two tokens are all but equal', async () => {
    const engine = await gpu.engine(testFileUrl('demo/public/models/gpt-oss-nano'), {
      contextLength: 1024,
      dense: 'int8',
    });
    const different = await answer(engine, 4);
    for (const { min_margin, skill } of different) expect(min_margin, skill).toBeLessThan(0.1);
  });
});
