import { describe, expect, test } from 'vitest';
import { readTestJson } from '../../test/files.ts';
import { OssicleError } from '../errors.ts';
import type { GenerateOptions, Message } from '../types/generate.ts';
import { CheckpointTokenizer } from './tokenizer.ts';

type Json = { readonly added_tokens: readonly { readonly content: string }[] };

const json = await readTestJson<Json>('demo/public/models/gpt-oss-nano/tokenizer.json');

describe('the tokenizer of a checkpoint', () => {
  test('renders no conversations if it lacks a control token, but still encodes text', () => {
    for (const name of ['<|start|>', '<|call|>', '<|constrain|>']) {
      const added_tokens = json.added_tokens.filter(({ content }) => content !== name);
      const tokenizer = new CheckpointTokenizer({ ...json, added_tokens }, 1600);
      const encode = () => tokenizer.encodeConversation('Hi');
      expect(encode).toThrow(OssicleError);
      expect(encode).toThrow(expect.objectContaining({ code: 'format-invalid' }));
      expect(encode).toThrow(name);
      expect(tokenizer.chat).toBeUndefined();
      expect(tokenizer.decode(tokenizer.encode('17 + 25'))).toBe('17 + 25');
    }
    expect(new CheckpointTokenizer(json, 1600).chat).toBeDefined();
  });

  const schema = { type: 'object', properties: { rain: { type: 'number' } } };

  test.each<[GenerateOptions, string]>([
    [{ instructions: 'Be brief.' }, '# Instructions\n\nBe brief.'],
    [{ reasoningEffort: 'high' }, 'Reasoning: high'],
    [{ tools: [{ name: 'look', description: 'Looks.' }] }, '// Looks.\ntype look = () => any;'],
    [{ tools: [{ name: 'look', parameters: schema }] }, 'type look = (_: {\nrain?: number,\n})'],
    [{ builtInTools: [{ name: 'python', description: 'Runs it.' }] }, '## python\n\nRuns it.'],
    [{ responseFormat: { type: 'json', schema, name: 'weather' } }, '## weather'],
    [{ responseFormat: { type: 'json', schema } }, '"rain":'],
    [{ currentDate: '2031-12-24' }, 'Current date: 2031-12-24'],
    [{ systemMessage: { identity: 'You are a pirate.' } }, '<|message|>You are a pirate.\n'],
    [{ systemMessage: { knowledgeCutoff: '2025-01' } }, 'Knowledge cutoff: 2025-01'],
    [{ systemMessage: { channels: ['final'] } }, '# Valid channels: final.'],
    [{ systemMessage: null }, '^<|start|>user<|message|>Hi'],
    [{ keepAnalysis: true }, 'Because.'],
    [{ prefillText: 'It is' }, '<|start|>assistant<|channel|>final<|message|>It is$'],
  ])('renders what the option %j says, and nothing of it otherwise', (options, expected) => {
    const tokenizer = new CheckpointTokenizer(json, 1600);
    const history: readonly Message[] = [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', channel: 'analysis', content: 'Because.' },
      { role: 'assistant', channel: 'final', content: 'Hi!' },
      { role: 'user', content: 'Why?' },
    ];
    const rendered = (given?: GenerateOptions): string =>
      `^${tokenizer.decode(tokenizer.encodeConversation(history, given))}$`;
    expect(rendered(options)).toContain(expected);
    expect(rendered()).not.toContain(expected);
  });

  test('is rejected if it has more tokens than the model', () => {
    expect(() => new CheckpointTokenizer(json, 1599)).toThrow(/ids up to 1599.*1599 tokens/);
  });

  test.each<[options: object, message: RegExp]>([
    [{ systemMessage: 'You are a pirate.' }, /systemMessage must be an object.*instructions/],
    [{ responseFormat: { type: 'text' } }, /responseFormat must have the type 'json' and a schema/],
    [{ responseFormat: { type: 'json' } }, /responseFormat/],
  ])('rejects %j', (options, message) => {
    const tokenizer = new CheckpointTokenizer(json, 1600);
    const encode = () => tokenizer.encodeConversation('Hi', options as GenerateOptions);
    expect(encode).toThrow(TypeError);
    expect(encode).toThrow(message);
  });
});
