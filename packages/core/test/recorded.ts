import type { Tokenizer } from '@ossicle/harmony';
import { expect } from 'vitest';
import { readPrompt } from '../../harmony/test/prompt-reader.ts';
import type { GenerateOptions, GenerateResult, Message } from '../src/types/generate.ts';
import type { NanoGolden } from './golden.ts';

/** A conversation whose answer was recorded. */
export type Recorded = NanoGolden['conversations'][number];

/** The conversation with the shortest answer for each skill. */
export function shortest(
  conversations: readonly Recorded[],
  skills: readonly string[],
): readonly Recorded[] {
  return skills.map((skill) => {
    const [first] = conversations
      .filter((conversation) => conversation.skill === skill)
      .sort((a, b) => a.completion_ids.length - b.completion_ids.length);
    return first!;
  });
}

/** What generates: a model, or a session. */
interface Generator {
  generate(
    input: readonly Message[],
    options: GenerateOptions,
  ): { readonly result: Promise<GenerateResult> };
}

/** Generates answers to the messages of recorded conversations with gpt-oss-nano, and expects the recorded ones. */
export async function expectRecorded(
  generator: Generator,
  tokenizer: Tokenizer,
  recorded: readonly Recorded[],
): Promise<void> {
  for (const golden of recorded) {
    const { messages, options, hasSystem } = readPrompt(tokenizer, golden.prompt);
    const { identity, knowledgeCutoff, channels, ...rest } = options;
    const publicOptions: GenerateOptions = {
      ...(rest as GenerateOptions),
      systemMessage: hasSystem
        ? {
            ...(identity !== undefined && { identity }),
            ...(knowledgeCutoff !== undefined && { knowledgeCutoff }),
            ...(channels !== undefined && { channels }),
          }
        : null,
      temperature: 0,
    };
    const { result } = generator.generate(messages, publicOptions);
    const { messages: answer, usage, reason } = await result;
    expect(usage.promptTokens, golden.prompt).toBe(golden.prompt_ids.length);
    const names = publicOptions.tools?.map(({ name }) => `functions.${name}`);
    const [, called] = / to=(functions\.\w+)/.exec(golden.completion) ?? [];
    if (called && !names?.includes(called)) {
      // The recording calls a function that the prompt does not have.
      for (const { recipient } of answer)
        expect([undefined, ...(names ?? [])]).toContain(recipient);
      continue;
    }
    expect(
      answer.flatMap(({ tokens = [] }) => tokens),
      golden.prompt,
    ).toEqual(golden.completion_ids);
    expect(reason).toBe(golden.completion.endsWith('<|call|>') ? 'tool-calls' : 'stop');
  }
}
