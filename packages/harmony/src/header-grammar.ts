import { CHANNELS, checkOneOf } from './message.ts';
import type { PromptOptions } from './prompt-text.ts';
import { specialTokens } from './special-tokens.ts';
import type { Tokenizer } from './tokenizer/tokenizer.ts';
import { createToolNames, FUNCTIONS } from './tool-names.ts';

/**
 * Whether the model calls a tool: `auto`, as it decides; `none`, never; `required`, some tool before it answers; or the
 * tool of this name.
 */
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string };

/** Options for `createHeaderGrammar`. */
export interface HeaderGrammarOptions
  extends Pick<PromptOptions, 'tools' | 'systemTools' | 'channels'> {
  /** Whether the model calls a tool. Default: `auto`. */
  readonly toolChoice?: ToolChoice;
  /** Whether the header of the answer may say that it is JSON. Default: false. */
  readonly isJson?: boolean;
  /** Whether the model may reason: write messages on `analysis` that call no tool. Default: true. */
  readonly canReason?: boolean;
}

/** The headers that an assistant message may have. */
export interface HeaderGrammar {
  /**
   * The ids that may come next. Every way to cut a legal header into tokens is legal.
   *
   * @param written - The ids since the last `<|start|>`, with it; none where a message has just ended.
   * @returns The ids; none if the header is complete, and `undefined` if no legal header begins this way.
   */
  next(written: ArrayLike<number>): readonly number[] | undefined;
  /**
   * The ids that must come next, up to the end of the header or to the first part of it that may differ.
   *
   * @param written - As for `next`.
   * @returns The ids; none if there is a choice, if the header is complete, or if no legal header begins this way.
   */
  forced(written: ArrayLike<number>): readonly number[];
}

// Headers are strings of bytes, as U+0000 to U+00FF, and control tokens.
const START = '\u0100';
const CHANNEL = '\u0101';
const CONSTRAIN = '\u0102';
const MESSAGE = '\u0103';

/** The text up to the next control token, or that token. */
const PART = /^[\0-\xff]+|^./;

const CALL_TYPES = ['', ' json', ' code', `${CONSTRAIN}json`, ` ${CONSTRAIN}json`];
const JSON_TYPES = CALL_TYPES.filter((type) => type !== ' code');

/**
 * Creates the grammar of the headers that the model may write, for constrained decoding: `<|start|>assistant`, a channel,
 * the recipient of a call in front of `<|channel|>` or behind the channel, and the content type. Tools are called on
 * `analysis` and `commentary`. Where a tool must be called, other messages may only be `analysis`. An empty `channels`
 * allows all.
 *
 * @throws RangeError if `toolChoice` names no tool, if a tool must be called and no header could do so, or if nothing but
 * reasoning could come, and the model may not reason.
 */
export function createHeaderGrammar(
  tokenizer: Tokenizer,
  options: HeaderGrammarOptions = {},
): HeaderGrammar {
  const headers = legalHeaders(options);
  const ids = specialTokens(tokenizer);
  const controls = new Map([
    [ids.start, START],
    [ids.channel, CHANNEL],
    [ids.constrain, CONSTRAIN],
    [ids.message, MESSAGE],
  ]);
  const idOf = new Map([...controls].map(([id, control]) => [control, id]));
  /** What may follow; `undefined` if no legal header begins this way. */
  const restsAfter = (written: ArrayLike<number>): string[] | undefined => {
    const prefix = Array.from(
      written,
      (id) => controls.get(id) ?? toText(tokenizer.tokenBytes(id)),
    );
    if (prefix.includes('')) return undefined;
    const begun = prefix.join('');
    const rests = headers.flatMap((header) =>
      header.startsWith(begun) ? [header.slice(begun.length)] : [],
    );
    return rests.length > 0 ? rests : undefined;
  };
  return {
    next(written) {
      const rests = restsAfter(written);
      if (!rests) return undefined;
      const next = new Set<number>();
      for (const piece of nextPieces(rests)) {
        const id = idOf.get(piece) ?? tokenizer.ordinaryId(toBytes(piece));
        if (id !== undefined) next.add(id);
      }
      return [...next];
    },
    forced(written) {
      const forced: number[] = [];
      let rests = restsAfter(written) ?? [];
      for (;;) {
        const parts = rests.map((rest) => (PART.exec(rest) ?? [''])[0]);
        const part = parts.reduce((a, b) => (b.length < a.length ? b : a), parts[0] ?? '');
        // A token never spans the end of a word that a space follows.
        const isShared = parts.every((each) => `${each} `.startsWith(`${part} `));
        if (!isShared || part === '') return forced;
        const id = idOf.get(part);
        if (id !== undefined) forced.push(id);
        else forced.push(...tokenizer.encode(new TextDecoder().decode(toBytes(part))));
        if (parts.some((each) => each !== part)) return forced;
        rests = rests.map((rest) => rest.slice(part.length));
      }
    },
  };
}

function legalHeaders(options: HeaderGrammarOptions): string[] {
  const { toolChoice = 'auto', isJson = false, canReason = true } = options;
  const channels = options.channels?.length ? options.channels : CHANNELS;
  const recipients = recipientsOf(options);
  const mustCall = toolChoice !== 'auto' && toolChoice !== 'none';
  const calls = channels
    .filter((channel) => channel !== 'final')
    .flatMap((channel) =>
      recipients.flatMap((recipient) => [
        `${CHANNEL}${channel} to=${recipient}`,
        ` to=${recipient}${CHANNEL}${channel}`,
      ]),
    )
    .flatMap((call) => CALL_TYPES.map((type) => call + type));
  if (mustCall && calls.length === 0) {
    throw new RangeError('toolChoice asks for a call, but there is no tool or no channel for it.');
  }
  const others = channels
    .filter((channel) => (channel === 'analysis' ? canReason : !mustCall))
    .flatMap((channel) => {
      const types = channel === 'final' && isJson ? JSON_TYPES : [''];
      return types.map((type) => `${CHANNEL}${channel}${type}`);
    });
  if (others.length + calls.length === 0) {
    throw new RangeError('After reasoning, no message may come: channels has no other channel.');
  }
  return [...others, ...calls].map((header) => `${START}assistant${header}${MESSAGE}`);
}

// The recipients of the tools that may be called, as bytes.
function recipientsOf({
  tools = [],
  systemTools = [],
  toolChoice,
}: HeaderGrammarOptions): string[] {
  if (toolChoice === 'none') return [];
  const { identifiers } = createToolNames(tools, systemTools);
  const recipients = new Map(tools.map(({ name }, i) => [name, `${FUNCTIONS}.${identifiers[i]}`]));
  for (const namespace of systemTools) {
    const inner = namespace.tools ?? [];
    if (inner.length === 0) recipients.set(namespace.name, namespace.name);
    const names = createToolNames(inner).identifiers.map((name) => `${namespace.name}.${name}`);
    for (const name of names) recipients.set(name, name);
  }
  if (typeof toolChoice !== 'object') {
    if (toolChoice !== undefined)
      checkOneOf('toolChoice', toolChoice, ['auto', 'none', 'required']);
    return [...recipients.values()].map(toUtf8);
  }
  checkOneOf('toolChoice.name', toolChoice.name, [...recipients.keys()]);
  return [toUtf8(recipients.get(toolChoice.name)!)];
}

// What may follow: a control token, or the beginnings of the text up to the next one.
function nextPieces(rests: readonly string[]): Set<string> {
  const pieces = new Set<string>();
  for (const rest of rests) {
    const [text = ''] = PART.exec(rest) ?? [];
    for (let end = text.length; end > 0; end--) pieces.add(text.slice(0, end));
  }
  return pieces;
}

function toUtf8(text: string): string {
  return toText(new TextEncoder().encode(text));
}

function toText(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function toBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
