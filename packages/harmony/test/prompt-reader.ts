/**
 * Parses a rendered prompt back into the messages and options that it was rendered from. Supports only the plain forms
 * in golden prompts, and shares no code with the library's own parser.
 */

import type { ConversationOptions, Message, Tokenizer, ToolDefinition } from '../src/index.ts';

/** The messages and options that a prompt was rendered from. */
export interface Prompt {
  /** Whether it has a system message. */
  readonly hasSystem: boolean;
  readonly options: ConversationOptions;
  /** The messages after the developer message. */
  readonly messages: readonly Message[];
}

/** Encodes text that contains special tokens by name. */
export function encodeMarked(tokenizer: Tokenizer, text: string): number[] {
  return text.split(/(<\|\w+\|>)/).flatMap((part) => {
    const special = /^<\|\w+\|>$/.test(part) ? tokenizer.tokenId(part) : undefined;
    return special === undefined ? tokenizer.encode(part) : [special];
  });
}

/** Parses a prompt. Assistant messages carry their tokens from the prompt. */
export function readPrompt(tokenizer: Tokenizer, text: string): Prompt {
  let hasSystem = false;
  let options: ConversationOptions = {};
  const messages: Message[] = [];
  for (const [written, header = '', content = ''] of text.matchAll(
    /<\|start\|>((?:(?!<\|message\|>).)*?)<\|message\|>(.*?)<\|(?:end|call|return)\|>/gs,
  )) {
    const author = header.split(/[ <]/)[0] ?? '';
    const recipient = / to=([^ <]+)/.exec(header)?.[1];
    const channel = /<\|channel\|>([a-z]+)/.exec(header)?.[1] as Message['channel'];
    const contentType = /<\|constrain\|>(\w+)| (json|code)$/.exec(header)?.slice(1).find(Boolean);
    if (author === 'system') {
      hasSystem = true;
      options = { ...options, ...readSystem(content) };
    } else if (author === 'developer') {
      options = { ...options, ...readDeveloper(content) };
    } else if (author === 'user') {
      messages.push({ role: 'user', content });
    } else if (author === 'assistant') {
      messages.push({
        role: 'assistant',
        content,
        ...(channel && { channel }),
        ...(recipient && { recipient }),
        ...(contentType && { contentType }),
        tokens: encodeMarked(tokenizer, written),
      });
    } else {
      messages.push({ role: 'tool', name: author, content, ...(channel && { channel }) });
    }
  }
  return { hasSystem, options, messages };
}

/** Removes the model's tokens from messages, so that they are rendered from their fields. */
export function withoutTokens(messages: readonly Message[]): Message[] {
  return messages.map(({ tokens: _, ...message }) => message);
}

function readSystem(text: string): ConversationOptions {
  const currentDate = /^Current date: (.*)$/m.exec(text)?.[1];
  const channels = /^# Valid channels: ([a-z, ]+)\./m.exec(text)?.[1];
  return {
    identity: text.slice(0, text.indexOf('\n')),
    knowledgeCutoff: /^Knowledge cutoff: (.*)$/m.exec(text)?.[1] ?? null,
    ...(currentDate !== undefined && { currentDate }),
    reasoningEffort: /^Reasoning: (.*)$/m.exec(text)?.[1] as 'low' | 'medium' | 'high',
    channels: (channels?.split(', ') ?? []) as ('analysis' | 'commentary' | 'final')[],
  };
}

function readDeveloper(text: string): ConversationOptions {
  const instructions = /^# Instructions\n\n(.*?)(?=\n\n# (?:Tools|Response Formats)\n|$)/s.exec(
    text,
  )?.[1];
  const block = /namespace functions \{\n\n(.*)\} \/\/ namespace functions/s.exec(text)?.[1];
  const format = /# Response Formats\n\n## ([^\n]*)\n\n(?:\/\/ ([^\n]*)\n)?(.*)$/s.exec(text);
  return {
    ...(instructions !== undefined && { instructions }),
    ...(block !== undefined && { tools: block.trimEnd().split('\n\n').map(readTool) }),
    ...(format && {
      responseFormat: {
        type: 'json',
        name: format[1]!,
        schema: {
          ...(format[2] !== undefined && { description: format[2] }),
          ...(JSON.parse(format[3]!) as Record<string, unknown>),
        },
      },
    }),
  };
}

function readTool(text: string): ToolDefinition {
  const [, comment = '', name = '', body] =
    /^((?:\/\/ .*\n)*)type (\w+) = \((?:_: \{\n(.*)\})?\) => any;$/s.exec(text)!;
  const description = readComment(comment);
  return {
    name,
    ...(description !== '' && { description }),
    ...(body !== undefined && { parameters: readObject(body) }),
  };
}

function readObject(body: string): Record<string, unknown> {
  const properties: Record<string, unknown> = {};
  const required: string[] = [];
  for (const [, comment = '', key = '', optional, type = '', fallback] of body.matchAll(
    /((?:\/\/ .*\n)*)(\w+)(\?)?: (.*?),(?: \/\/ default: (.*))?\n/g,
  )) {
    const description = readComment(comment);
    properties[key] = {
      ...readType(type),
      ...(description !== '' && { description }),
      ...(fallback !== undefined && {
        default: type === 'string' || /^[a-z]/.test(fallback) ? fallback : JSON.parse(fallback),
      }),
    };
    if (optional === undefined) required.push(key);
  }
  return { type: 'object', properties, required };
}

function readType(type: string): Record<string, unknown> {
  if (type.endsWith('[]')) return { type: 'array', items: readType(type.slice(0, -2)) };
  if (type.startsWith('"'))
    return { type: 'string', enum: type.split(' | ').map((name) => name.slice(1, -1)) };
  return { type };
}

function readComment(lines: string): string {
  return lines.replace(/^\/\/ /gm, '').trimEnd();
}
