// Chats as files: JSON that can be imported again, and Markdown to read.
import type { Message } from 'ossicle';
import { texts } from '../language/texts.ts';
import {
  type ChatRecord,
  type Outcome,
  type Part,
  pathOf,
  type Turn,
  titleOf,
} from './chat-record.ts';

const FORMAT = 'ossicle-chats';
const VERSION = 1;

/** Chats as JSON to be imported again. */
export function toJson(chats: readonly ChatRecord[]): string {
  // The ids of a message's tokens are left out: nobody reads them, and the text gives them again.
  const readable = (key: string, value: unknown): unknown =>
    key === 'tokens' && Array.isArray(value) ? undefined : value;
  return `${JSON.stringify({ format: FORMAT, version: VERSION, chats }, readable, 2)}\n`;
}

/** Whether a file begins as {@link toJson} does; its chats may still be damaged. */
export async function isChatFile(file: Blob): Promise<boolean> {
  const start = await file.slice(0, 200).text();
  return /^\s*\{\s*"format":\s*"ossicle-chats"/.test(start);
}

/** The shown path of a chat as Markdown. */
export function toMarkdown(chat: ChatRecord): string {
  const { instructions } = chat;
  const lines = [`# ${titleOf(chat)}`];
  if (instructions !== '') lines.push(`> ${instructions.replaceAll('\n', '\n> ')}`);
  for (const { prompt, files, parts } of pathOf(chat)) {
    lines.push(`## ${texts.turn.yourMessage}`);
    for (const { name } of files) lines.push(`*${name}*`);
    lines.push(prompt, `## ${texts.turn.answer}`, ...parts.map(partToMarkdown));
  }
  return `${lines.filter((line) => line !== '').join('\n\n')}\n`;
}

function partToMarkdown(part: Part): string {
  if (part.kind === 'text') return part.text;
  if (part.kind === 'reasoning')
    return `<details><summary>${texts.turn.reasoning}</summary>\n\n${part.text}\n\n</details>`;
  const { name, input, output } = part;
  return `\`${name}(${input})\`${output === undefined ? '' : ` → \`${output}\``}`;
}

/**
 * The chats in a file, with new ids, so that an import replaces nothing.
 *
 * @throws Error if the text is not JSON or holds no chats of this page; the message is for the user.
 */
export function parseChats(json: string): readonly ChatRecord[] {
  let file: unknown;
  try {
    file = JSON.parse(json);
  } catch {
    throw new Error(texts.chats.notJson);
  }
  const chats = field(file, 'chats');
  if (field(file, 'format') !== FORMAT || !Array.isArray(chats))
    throw new Error(texts.chats.notChats);
  return chats.map((chat) => parseChat(chat));
}

function parseChat(value: unknown): ChatRecord {
  const turns = arrayOf(field(value, 'turns'), parseTurn);
  const known = new Set<string>();
  for (const { id, parent } of turns) {
    // Parents come first, so that no turn is its own ancestor.
    check(!known.has(id) && (parent === null || known.has(parent)));
    known.add(id);
  }
  const leaf = field(value, 'leaf');
  return {
    id: crypto.randomUUID(),
    title: text(field(value, 'title')),
    instructions: text(field(value, 'instructions')),
    createdAt: number(field(value, 'createdAt')),
    changedAt: number(field(value, 'changedAt')),
    turns,
    leaf: typeof leaf === 'string' && known.has(leaf) ? leaf : (turns.at(-1)?.id ?? null),
  };
}

function parseTurn(value: unknown): Turn {
  const parent = field(value, 'parent');
  const outcome = field(value, 'outcome');
  return {
    id: text(field(value, 'id')),
    parent: parent === null ? null : text(parent),
    askedAt: number(field(value, 'askedAt')),
    prompt: text(field(value, 'prompt')),
    usesTools: field(value, 'usesTools') === true,
    files: arrayOf(field(value, 'files'), (file) => ({
      name: text(field(file, 'name')),
      text: text(field(file, 'text')),
    })),
    parts: arrayOf(field(value, 'parts'), parsePart),
    reply: arrayOf(field(value, 'reply'), parseMessage),
    ...(outcome !== undefined && { outcome: parseOutcome(outcome) }),
  };
}

function parsePart(value: unknown): Part {
  const kind = oneOf(field(value, 'kind'), ['reasoning', 'text', 'tool']);
  if (kind === 'text') return { kind, text: text(field(value, 'text')) };
  if (kind === 'reasoning')
    return { kind, text: text(field(value, 'text')), ms: number(field(value, 'ms')) };
  const output = field(value, 'output');
  return {
    kind,
    id: text(field(value, 'id')),
    name: text(field(value, 'name')),
    input: text(field(value, 'input')),
    state: oneOf(field(value, 'state'), ['asking', 'running', 'done', 'failed']),
    ...(output !== undefined && { output: text(output) }),
  };
}

function parseMessage(value: unknown): Message {
  const [channel, recipient, name, contentType] = [
    'channel',
    'recipient',
    'name',
    'contentType',
  ].map((key) => field(value, key));
  return {
    role: oneOf(field(value, 'role'), ['assistant', 'tool']),
    content: text(field(value, 'content')),
    ...(channel !== undefined && {
      channel: oneOf(channel, ['analysis', 'commentary', 'final']),
    }),
    ...(recipient !== undefined && { recipient: text(recipient) }),
    ...(name !== undefined && { name: text(name) }),
    ...(contentType !== undefined && { contentType: text(contentType) }),
  };
}

function parseOutcome(value: unknown): Outcome {
  const note = field(value, 'note');
  return {
    reason: oneOf(field(value, 'reason'), ['stop', 'length', 'tool-calls', 'aborted', 'failed']),
    ...(note !== undefined && { note: text(note) }),
    tokens: number(field(value, 'tokens')),
    tokensPerSecond: number(field(value, 'tokensPerSecond')),
    firstTokenMs: number(field(value, 'firstTokenMs')),
  };
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;

function check(isRight: boolean): asserts isRight {
  if (!isRight) throw new Error(texts.chats.notChats);
}

function text(value: unknown): string {
  check(typeof value === 'string');
  return value;
}

function number(value: unknown): number {
  check(typeof value === 'number' && Number.isFinite(value));
  return value;
}

function oneOf<T extends string>(value: unknown, choices: readonly T[]): T {
  const choice = choices.find((known) => known === value);
  check(choice !== undefined);
  return choice;
}

function arrayOf<T>(value: unknown, parse: (item: unknown) => T): readonly T[] {
  check(Array.isArray(value));
  return value.map(parse);
}
