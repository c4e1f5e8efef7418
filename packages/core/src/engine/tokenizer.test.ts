import { describe, expect, test } from 'vitest';
import { readTestJson } from '../../test/files.ts';
import { OssicleError } from '../errors.ts';
import type { GenerateOptions } from '../types/generate.ts';
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

  test('renders the built-in tools of the system message', () => {
    const builtInTools = [{ name: 'python', description: 'Runs Python.' }];
    const tokenizer = new CheckpointTokenizer(json, 1600);
    const prompt = tokenizer.encodeConversation('Hi', { builtInTools });
    expect(tokenizer.decode(prompt)).toContain('## python\n\nRuns Python.');
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
