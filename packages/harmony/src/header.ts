import { CHANNELS, type Channel, type Role } from './message.ts';
import { bareName, FUNCTIONS, type ToolNames } from './tool-names.ts';

/** A part of a header: the role, or what follows a `<|channel|>` or `<|constrain|>`. */
export interface HeaderPart {
  readonly kind: 'role' | 'channel' | 'constrain';
  readonly text: string;
}

/** The fields of a header. */
export interface Header {
  readonly role: Role;
  readonly name: string | undefined;
  readonly channel: Channel | undefined;
  readonly recipient: string | undefined;
  readonly contentType: string | undefined;
  /** Whether the header is well-formed and contains nothing else. */
  readonly isClean: boolean;
}

const CHANNEL_NAME = /analysis|commentary|final/i;
const RECIPIENT = /to=([\w.:/$-]+)/g;
const WORD = /^\s*([\w/+.-]+)/;
// Other words after <|constrain|> are content if <|message|> is missing.
const CONTENT_TYPE = /^\s*(?:json|code|text|python)(?!\w)/;
// Recipients that are participants in the conversation, not tools.
const NO_TOOL = new Set(['assistant', 'user', 'all']);

/**
 * Parses a header, however malformed.
 *
 * @param parts - The parts of the header; the first is the role.
 * @param isStarted - Whether the header began with `<|start|>`, so that its first part names the role. Otherwise the
 *   role is `assistant`, because `<|start|>assistant` is part of the prompt.
 */
export function parseHeader(
  parts: readonly HeaderPart[],
  isStarted: boolean,
  toolNames: ToolNames | undefined,
): Header {
  const author = isStarted
    ? readAuthor(parts, toolNames)
    : { role: 'assistant' as const, name: undefined, rest: parts[0]?.text ?? '' };
  const { role, name } = author;
  let isClean = !isStarted || author.rest !== parts[0]?.text;

  const texts = parts.map(({ kind, text }, index) => ({
    kind,
    text: index === 0 ? author.rest : text,
  }));
  let recipient = undefined as string | undefined;
  for (const part of texts) {
    part.text = part.text.replace(RECIPIENT, (_, target: string, offset: number, whole: string) => {
      const isTool = !NO_TOOL.has(target);
      // A recipient is a separate word, and there is only one.
      if (whole[offset - 1] !== ' ' || (isTool ? recipient !== undefined : role !== 'tool'))
        isClean = false;
      if (isTool) recipient ??= target;
      return '';
    });
  }

  let channel: Channel | undefined;
  let channelText = '';
  for (const part of texts.filter(({ kind }) => kind === 'channel').reverse()) {
    const read = readChannel(part.text);
    if (channel === undefined) {
      channel = read.channel;
      channelText ||= part.text;
      if (!read.isExact) isClean = false;
    } else {
      isClean = false;
    }
    part.text = read.rest;
  }

  let contentType: string | undefined;
  for (const part of texts.filter(({ kind }) => kind === 'constrain')) {
    const word = WORD.exec(part.text);
    if (contentType !== undefined || !word || /^\s/.test(part.text)) isClean = false;
    if (word) {
      contentType ??= word[1];
      part.text = part.text.slice(word[0].length);
    }
  }
  for (const part of texts) {
    for (const word of part.text.split(/\s+/)) {
      if (word === '') continue;
      if (
        contentType === undefined &&
        (word === 'json' || word === 'code') &&
        part.kind === 'channel'
      ) {
        contentType = word;
      } else if (recipient === undefined && isToolName(word, toolNames)) {
        recipient = word;
        isClean = false;
      } else {
        isClean = false;
      }
    }
  }

  if (role === 'assistant') {
    if (recipient !== undefined && toolNames?.nameOf(recipient) !== undefined) {
      const canonical = `${FUNCTIONS}.${toolNames.identifierOf(recipient)}`;
      if (recipient !== canonical) isClean = false;
      recipient = canonical;
    }
    // An answer cannot call a tool.
    if (recipient !== undefined && channel === 'final') {
      recipient = undefined;
      isClean = false;
    }
    if (channel === undefined) {
      // In other formats an answer has no channel; an unknown channel is not meant as an answer.
      channel = recipient === undefined && channelText.trim() === '' ? 'final' : 'commentary';
      isClean = false;
    }
  }
  return { role, name, channel, recipient, contentType, isClean };
}

/**
 * Finds the content in a header that lacks `<|message|>`: the text after the channel name, recipient and content type, or
 * else the text before the channel name.
 *
 * @returns The channel that the header names before the text, if any, and the text, which may be empty.
 */
export function salvageContent(
  parts: readonly HeaderPart[],
  isStarted: boolean,
): { readonly channel: Channel | undefined; readonly text: string } {
  const isNamed = ({ kind, text }: HeaderPart): boolean =>
    kind === 'channel' && CHANNEL_NAME.test(text);
  const last = Math.max(0, parts.findLastIndex(isNamed));
  const first = parts[last]?.text ?? '';
  const name = last > 0 ? CHANNEL_NAME.exec(first) : null;
  const end = name ? name.index + name[0].length : 0;
  let text = name || !isStarted ? first.slice(end) : withoutRole(first);
  text = text.replace(/^\s*to=[\w.:/$-]+/, '');
  for (const part of parts.slice(last + 1)) {
    text += part.kind === 'constrain' ? part.text.replace(CONTENT_TYPE, '') : part.text;
  }
  text = text.replace(/^\s*(?:json|code)(?=\s*(?:[[{"]|$))/, '').trimStart();
  if (isContent(text, name !== null)) return { channel: toChannel(name?.[0]), text };

  const before = parts.slice(0, last).map((part) => part.text);
  const early = withoutRole([...before, first.slice(0, name?.index ?? 0)].join('')).trim();
  return { channel: undefined, text: isContent(early, false) ? early : '' };
}

function withoutRole(text: string): string {
  return 'assistant'.startsWith(text)
    ? ''
    : text.replace(/^(?:system|developer|user|assistant)/, '');
}

// The format's own names, whole or cut short, and punctuation are not content by themselves.
function isContent(text: string, isNamed: boolean): boolean {
  const words = text.replace(/analysis|commentary|final|assistant/gi, '');
  const isCutName = !isNamed && text.length > 2 && isNameStart(text);
  return (/[\p{L}\p{N}\p{So}\p{Sc}]/u.test(words) && !isCutName) || /^[[{]/.test(text);
}

/** Whether a token's text can begin a channel name. */
export function beginsChannelName(text: string): boolean {
  const word = text.trim();
  const isName = isNameStart(word) || CHANNELS.some((channel) => word.startsWith(channel));
  return word.length > 2 && isName;
}

function isNameStart(text: string): boolean {
  return CHANNELS.some((channel) => channel.startsWith(text));
}

interface Author {
  readonly role: Role;
  readonly name: string | undefined;
  readonly rest: string;
}

function readAuthor(parts: readonly HeaderPart[], toolNames: ToolNames | undefined): Author {
  const text = parts[0]?.text ?? '';
  const known = /^(system|developer|user|assistant)(?::([\p{L}\p{M}\p{N}_.:/$@+-]+))?/u.exec(text);
  if (known) {
    const [match, role, name] = known;
    return { role: role as Role, name, rest: text.slice(match.length) };
  }
  const name = /^[\w.:$-]+/.exec(text)?.[0];
  const isTool =
    name !== undefined &&
    (isToolName(name, toolNames) ||
      /^[a-z]\w*\.[a-z]\w*$/i.test(name) ||
      parts.some((part) => part.text.includes('to=assistant')));
  if (!isTool) return { role: 'assistant', name: undefined, rest: text };
  return { role: 'tool', name: bareName(name), rest: text.slice(name.length) };
}

function readChannel(text: string): {
  channel: Channel | undefined;
  rest: string;
  isExact: boolean;
} {
  const found = CHANNEL_NAME.exec(text);
  if (found) {
    const rest = text.slice(0, found.index) + text.slice(found.index + found[0].length);
    const isExact = found.index === 0 && toChannel(found[0]) === found[0] && /^(?:\s|$)/.test(rest);
    return { channel: toChannel(found[0]), rest, isExact };
  }
  // A truncated name, such as "comment".
  const word = /^\s*([a-z]{4,})/.exec(text);
  const channel = word ? CHANNELS.find((name) => name.startsWith(word[1] ?? '')) : undefined;
  return { channel, rest: channel && word ? text.slice(word[0].length) : text, isExact: false };
}

function toChannel(name: string | undefined): Channel | undefined {
  return CHANNELS.find((channel) => channel === name?.toLowerCase());
}

function isToolName(word: string, toolNames: ToolNames | undefined): boolean {
  return (
    /^functions\.[\w$-]+$/.test(word) ||
    (toolNames?.nameOf(word) ?? toolNames?.namespaceOf(word)) !== undefined
  );
}
