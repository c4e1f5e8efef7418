import {
  beginsChannelName,
  type Header,
  type HeaderPart,
  parseHeader,
  salvageContent,
} from './header.ts';
import type { Channel, Message, Role } from './message.ts';
import { type SpecialTokens, specialTokens, stopTokens } from './special-tokens.ts';
import type { TokenDecoder, Tokenizer } from './tokenizer/tokenizer.ts';
import type { ToolNames } from './tool-names.ts';

/** What a parser reports as tokens arrive. */
export type ParserEvent =
  | {
      /** A message's header is complete. */
      readonly type: 'message-start';
      /** The author; `assistant` unless the model writes in another role. */
      readonly role: Role;
      /** The channel; always set for the assistant. */
      readonly channel: Channel | undefined;
      /** The tool that the message calls, if any. */
      readonly recipient: string | undefined;
      /** The format of the content, if the header states it. */
      readonly contentType: string | undefined;
    }
  | {
      /** The open message has more content. */
      readonly type: 'content-delta';
      /** The message's channel. */
      readonly channel: Channel | undefined;
      /** The message's recipient. */
      readonly recipient: string | undefined;
      /** The added text, never empty. */
      readonly text: string;
    }
  | {
      /** The message is complete, or the tokens have ended. */
      readonly type: 'message-end';
      /** The message, including its tokens. */
      readonly message: Message;
      /** Whether the tokens were malformed, so that parts were guessed or dropped. */
      readonly repaired: boolean;
    };

/** Options for `createParser`. */
export interface ParserOptions {
  /** The available tools. A call to one of them is recognised even without `to=` or its namespace. */
  readonly toolNames?: ToolNames;
  /**
   * The ids before those that the parser will read. If they end within a message, the parser continues it: `begin`, or else
   * the first `push`, returns the events of what the prompt has of the message. Default: `<|start|>assistant`.
   */
  readonly prompt?: ArrayLike<number>;
}

/**
 * Parses a model's tokens into Harmony messages as they arrive. It accepts any sequence of ids and never throws:
 * malformed output is read as what it was most likely meant to be.
 */
export interface HarmonyParser {
  /** The messages completed so far. */
  readonly messages: readonly Message[];
  /** Reads what the prompt has of the message that it leaves open. Call it before `push`, to tell its events from others. */
  begin(): ParserEvent[];
  /** Adds the next token. Stop tokens must be pushed too. */
  push(id: number): ParserEvent[];
  /** Ends the tokens and closes the open message, if any. */
  finish(): ParserEvent[];
}

/**
 * Creates a parser for what a model writes after a prompt, usually one that ends in `<|start|>assistant`. It also accepts
 * whole messages that begin with `<|start|>`.
 *
 * @throws Error if the tokenizer lacks Harmony's special tokens.
 */
export function createParser(tokenizer: Tokenizer, options: ParserOptions = {}): HarmonyParser {
  const parser = new Parser(tokenizer, options.toolNames);
  parser.open(options.prompt ?? []);
  return parser;
}

class Parser implements HarmonyParser {
  readonly messages: Message[] = [];
  readonly #tokenizer: Tokenizer;
  readonly #toolNames: ToolNames | undefined;
  readonly #ids: SpecialTokens;
  readonly #terminators: ReadonlySet<number>;
  readonly #decoder: TokenDecoder;
  #events: ParserEvent[] = [];
  // Ids since the last complete message.
  #tokens: number[] = [];
  #parts: { kind: HeaderPart['kind']; ids: number[] }[] = [{ kind: 'role', ids: [] }];
  #isStarted = false;
  #isRepaired = false;
  // Header of the open message; undefined while a header is being read.
  #header: Header | undefined;
  #content = '';
  // The content just had a <|channel|>: the next token shows whether it begins a header.
  #isChannelPending = false;
  // An answer with text, or a call.
  #hasOutput = false;
  // Text that was in no message: the answer, if no other follows.
  #strayText = '';

  constructor(tokenizer: Tokenizer, toolNames: ToolNames | undefined) {
    this.#tokenizer = tokenizer;
    this.#toolNames = toolNames;
    this.#ids = specialTokens(tokenizer);
    this.#terminators = new Set([this.#ids.end, ...stopTokens(tokenizer)]);
    this.#decoder = tokenizer.createDecoder();
  }

  /** Reads the message that a prompt leaves open. Its events are those of the first `push`. */
  open(prompt: ArrayLike<number>): void {
    const ids = Array.from(prompt);
    const message = ids.slice(ids.lastIndexOf(this.#ids.start));
    const isOpen =
      message[0] === this.#ids.start && !message.some((id) => this.#terminators.has(id));
    if (!isOpen || this.#tokenizer.decode(message.slice(1)) === 'assistant') return;
    for (const id of message) this.#read(id);
  }

  begin(): ParserEvent[] {
    return this.#takeEvents();
  }

  push(id: number): ParserEvent[] {
    this.#read(id);
    return this.#takeEvents();
  }

  finish(): ParserEvent[] {
    if (this.#header) this.#close(this.#header, undefined);
    else this.#salvage(undefined, true);
    this.#addAnswer(undefined);
    this.#reset();
    return this.#takeEvents();
  }

  #read(id: number): void {
    if (this.#header) this.#pushContent(this.#header, id);
    else this.#pushHeader(id);
  }

  #takeEvents(): ParserEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #pushHeader(id: number): void {
    if (id === this.#ids.start) {
      const hasText = this.#parts.length > 1 || this.#parts[0]!.ids.length > 0 || this.#isStarted;
      if (hasText && !this.#salvage(undefined, false)) this.#isRepaired = true;
      this.#parts = [{ kind: 'role', ids: [] }];
      this.#isStarted = true;
      this.#tokens.push(id);
      return;
    }
    this.#tokens.push(id);
    if (id === this.#ids.message) {
      this.#open(parseHeader(this.#readParts(), this.#isStarted, this.#toolNames));
    } else if (this.#terminators.has(id)) {
      if (!this.#salvage(id, true)) this.#isRepaired = true;
      this.#parts = [{ kind: 'role', ids: [] }];
      this.#isStarted = false;
    } else if (id === this.#ids.channel || id === this.#ids.constrain) {
      this.#parts.push({ kind: id === this.#ids.channel ? 'channel' : 'constrain', ids: [] });
    } else if (this.#tokenizer.isSpecial(id)) {
      this.#isRepaired = true;
    } else {
      this.#parts.at(-1)!.ids.push(id);
    }
  }

  #pushContent(header: Header, id: number): void {
    if (this.#isChannelPending) {
      this.#isChannelPending = false;
      if (!this.#tokenizer.isSpecial(id) && beginsChannelName(this.#tokenizer.decode([id]))) {
        this.#isRepaired = true;
        this.#close(header, undefined);
        this.#isRepaired = true;
        this.#pushHeader(this.#ids.channel);
        this.#pushHeader(id);
        return;
      }
      this.#tokens.push(this.#ids.channel);
      this.#isRepaired = true;
    }
    if (this.#terminators.has(id)) {
      this.#tokens.push(id);
      this.#close(header, id);
    } else if (id === this.#ids.start) {
      this.#isRepaired = true;
      this.#close(header, undefined);
      this.#pushHeader(id);
    } else if (id === this.#ids.channel) {
      this.#isChannelPending = true;
    } else {
      this.#tokens.push(id);
      // Text never becomes a control token, and a control token never becomes text.
      if (this.#tokenizer.isSpecial(id)) this.#isRepaired = true;
      else this.#append(header, this.#decoder.push(id));
    }
  }

  #readParts(): HeaderPart[] {
    return this.#parts.map(({ kind, ids }) => ({ kind, text: this.#tokenizer.decode(ids) }));
  }

  #open(header: Header): void {
    this.#header = header;
    this.#content = '';
    // Only the first message may lack <|start|>, because the prompt ends with it.
    if (!header.isClean || (!this.#isStarted && this.messages.length > 0)) this.#isRepaired = true;
    const { role, channel, recipient, contentType } = header;
    this.#events.push({ type: 'message-start', role, channel, recipient, contentType });
  }

  #append(header: Header, text: string): void {
    if (text === '') return;
    this.#content += text;
    const { channel, recipient } = header;
    this.#events.push({ type: 'content-delta', channel, recipient, text });
  }

  #close(header: Header, terminator: number | undefined): void {
    this.#append(header, this.#decoder.flush());
    const { role, name, channel, recipient, contentType } = header;
    if (role === 'assistant') {
      const isCall = recipient !== undefined;
      if (terminator === (isCall ? this.#ids.end : this.#ids.call)) this.#isRepaired = true;
      if (isCall || (channel === 'final' && this.#content.trim() !== '')) {
        this.#hasOutput = true;
        this.#strayText = '';
      } else if (channel === 'final') {
        this.#addStray(salvageContent(this.#readParts(), this.#isStarted).text);
      }
    }
    const message: Message = {
      role,
      content: this.#content,
      ...(name !== undefined && { name }),
      ...(channel !== undefined && { channel }),
      ...(recipient !== undefined && { recipient }),
      ...(contentType !== undefined && { contentType }),
      tokens: this.#tokens,
    };
    this.messages.push(message);
    this.#events.push({ type: 'message-end', message, repaired: this.#isRepaired });
    this.#reset();
  }

  // Recovers a message from a header that ended without <|message|>: if it names a channel or a recipient, the rest of
  // its text is the content. Text without either is an answer if there is no answer or call; only the end shows that.
  #salvage(terminator: number | undefined, isEnd: boolean): boolean {
    const parts = this.#readParts();
    const { channel, text } = salvageContent(parts, this.#isStarted);
    const header = parseHeader(parts, this.#isStarted, this.#toolNames);
    const isAssistant = header.role === 'assistant';
    if (isAssistant && header.recipient !== undefined) {
      // A call may have no arguments, but not if the tokens ended in its header.
      if (text === '' && terminator === undefined) return false;
      this.#addMessage(header, text, terminator);
    } else if (text !== '' && channel !== undefined) {
      this.#addMessage(header, text, terminator);
    } else {
      if (isAssistant) this.#addStray(text);
      return isEnd && text !== '' && this.#addAnswer(terminator);
    }
    return true;
  }

  #addStray(text: string): void {
    this.#strayText += this.#strayText === '' || text === '' ? text : ` ${text}`;
  }

  #addAnswer(terminator: number | undefined): boolean {
    if (this.#hasOutput || this.#strayText === '') return false;
    const header = parseHeader([], false, this.#toolNames);
    this.#addMessage(header, this.#strayText, terminator);
    return true;
  }

  #addMessage(header: Header, text: string, terminator: number | undefined): void {
    this.#isRepaired = true;
    this.#open(header);
    this.#append(header, text);
    this.#close(header, terminator);
  }

  #reset(): void {
    this.#tokens = [];
    this.#parts = [{ kind: 'role', ids: [] }];
    this.#isStarted = false;
    this.#isRepaired = false;
    this.#header = undefined;
    this.#content = '';
    this.#isChannelPending = false;
    this.#decoder.flush();
  }
}
