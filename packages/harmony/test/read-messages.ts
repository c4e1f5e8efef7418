/** Parses marked-up text in tests. */

import {
  createParser,
  createToolNames,
  type Message,
  type ParserEvent,
  type Tokenizer,
  type ToolNames,
} from '../src/index.ts';
import { createNanoTokenizer } from './golden.ts';
import { encodeMarked } from './prompt-reader.ts';

/** The tokenizer of the embedded model. */
export const tokenizer: Tokenizer = createNanoTokenizer();

const defaultToolNames: ToolNames = createToolNames([
  { name: 'get_weather' },
  { name: 'list-files' },
]);

/** Parses ids to the end. The tools are `get_weather` and `list-files` by default. */
export function eventsOf(
  ids: readonly number[],
  toolNames: ToolNames = defaultToolNames,
): ParserEvent[] {
  const parser = createParser(tokenizer, { toolNames });
  return [...ids.flatMap((id) => parser.push(id)), ...parser.finish()];
}

/** The messages in a text in which special tokens are written by name, and whether each was repaired. */
export function readMessages(
  text: string,
  toolNames?: ToolNames,
): {
  messages: Omit<Message, 'tokens'>[];
  repaired: boolean[];
} {
  const ends = eventsOf(encodeMarked(tokenizer, text), toolNames).filter(
    (event) => event.type === 'message-end',
  );
  return {
    messages: ends.map(({ message: { tokens: _, ...message } }) => message),
    repaired: ends.map(({ repaired }) => repaired),
  };
}

/** A reasoning message. */
export function analysis(content: string): Message {
  return { role: 'assistant', channel: 'analysis', content };
}

/** An answer. */
export function final(content: string): Message {
  return { role: 'assistant', channel: 'final', content };
}

/** A call to `get_weather`. */
export function call(content: string, more: Partial<Message> = {}): Message {
  const recipient = 'functions.get_weather';
  return { role: 'assistant', channel: 'commentary', recipient, content, ...more };
}
