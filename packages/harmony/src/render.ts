import { CHANNELS, type Channel, checkOneOf, type Message, type Role } from './message.ts';
import { createParser, type ParserEvent } from './parse.ts';
import {
  joinPresent,
  type PromptOptions,
  renderDeveloperText,
  renderInstructions,
  renderSystemText,
} from './prompt-text.ts';
import { type SpecialTokens, specialTokens } from './special-tokens.ts';
import type { Tokenizer } from './tokenizer/tokenizer.ts';
import {
  createToolNames,
  FUNCTIONS,
  isFunctionName,
  isTrainedName,
  type ToolNames,
} from './tool-names.ts';

/** Options for `renderMessages`. */
export interface MessageOptions extends Pick<PromptOptions, 'tools' | 'systemTools'> {
  /**
   * Whether to keep the reasoning of finished turns. By default it is dropped, as in training: once a user message
   * follows an answer, the analysis before that answer is removed. Function calls and their results are kept.
   */
  readonly keepAnalysis?: boolean;
}

/** Options for `renderConversation`. */
export interface ConversationOptions extends PromptOptions, MessageOptions {
  /** Omits the system message. Models were trained with one. */
  readonly omitSystemMessage?: boolean;
}

const ROLES: readonly Role[] = ['system', 'developer', 'user', 'assistant', 'tool'];

/**
 * Renders a conversation as a prompt: system message, developer message, the messages, and `<|start|>assistant` for the
 * model to continue.
 *
 * Text never becomes a control token. `system` and `developer` messages are both instructions: those before the first
 * other message are joined into the developer message, later ones stay in place.
 *
 * @throws TypeError, RangeError if a message or an option does not match its type.
 */
export function renderConversation(
  tokenizer: Tokenizer,
  messages: readonly Message[],
  options: ConversationOptions = {},
): number[] {
  const renderer = new Renderer(tokenizer, options);
  checkMessages(messages);
  const first = messages.findIndex((message) => !isInstruction(message));
  const head = first < 0 ? messages.length : first;
  const leading = messages.slice(0, head).map(({ content }) => content);
  const instructions = joinPresent('\n\n', [options.instructions ?? '', ...leading]);
  const developerText = renderDeveloperText({ ...options, instructions });
  if (!options.omitSystemMessage) renderer.add('system', renderSystemText(options));
  if (developerText !== '') renderer.add('developer', developerText);
  renderer.addMessages(messages.slice(head));
  renderer.start('assistant');
  return renderer.tokens;
}

/**
 * Renders only the messages: no system message before them and no `<|start|>assistant` after them.
 *
 * @throws TypeError, RangeError if a message does not match its type.
 */
export function renderMessages(
  tokenizer: Tokenizer,
  messages: readonly Message[],
  options: MessageOptions = {},
): number[] {
  const renderer = new Renderer(tokenizer, options);
  checkMessages(messages);
  renderer.addMessages(messages);
  return renderer.tokens;
}

class Renderer {
  readonly tokens: number[] = [];
  readonly #tokenizer: Tokenizer;
  readonly #keepAnalysis: boolean;
  readonly #toolNames: ToolNames;
  readonly #ids: SpecialTokens;

  constructor(tokenizer: Tokenizer, options: MessageOptions) {
    this.#tokenizer = tokenizer;
    this.#keepAnalysis = options.keepAnalysis === true;
    this.#toolNames = createToolNames(options.tools ?? [], options.systemTools);
    this.#ids = specialTokens(tokenizer);
  }

  start(header: string): void {
    this.#write(this.#ids.start, header);
  }

  add(author: string, content: string): void {
    this.start(author);
    this.#write(this.#ids.message, content, this.#ids.end);
  }

  addMessages(messages: readonly Message[]): void {
    const complete = this.#completeResults(messages);
    const kept = this.#keepAnalysis ? complete : this.#dropOldAnalysis(complete);
    for (const message of kept) this.#addMessage(message);
  }

  #addMessage(message: Message): void {
    const { role, content } = message;
    const written = role === 'assistant' ? this.#writtenTokens(message) : undefined;
    if (written) {
      if (written[0] !== this.#ids.start) this.start('assistant');
      for (const id of written) this.tokens.push(id);
      this.tokens.push(this.#terminator(message));
      return;
    }
    const recipient = this.#recipient(message);
    this.start(
      recipient === undefined ? authorOf(message) : `${authorOf(message)} to=${recipient}`,
    );
    // The headers of other roles have only their author.
    if (role === 'assistant' || role === 'tool') {
      this.#write(this.#ids.channel, channelOf(message));
      const contentType = message.contentType ?? (isFunctionName(recipient) ? 'json' : undefined);
      if (contentType === 'json') this.#write(' ', this.#ids.constrain, 'json');
      else if (contentType !== undefined) this.#write(` ${toWord(contentType)}`);
    }
    const text = isInstruction(message) ? renderInstructions(content) : content;
    this.#write(this.#ids.message, text, this.#terminator(message));
  }

  // The model's own tokens without the terminator, if they are a well-formed rendering of exactly this message.
  #writtenTokens(message: Message): readonly number[] | undefined {
    const { tokens } = message;
    if (!Array.isArray(tokens) || !tokens.every(Number.isInteger)) return undefined;
    const parser = createParser(this.#tokenizer, { toolNames: this.#toolNames });
    let end: MessageEnd | undefined;
    for (const id of tokens) {
      if (end) return undefined;
      end = parser.push(id).find(isMessageEnd);
    }
    const isTerminated = end !== undefined;
    end ??= parser.finish().find(isMessageEnd);
    if (!end || end.repaired) return undefined;
    const written = end.message;
    const isSame =
      written.role === message.role &&
      written.name === message.name &&
      written.channel === channelOf(message) &&
      written.recipient === this.#recipient(message) &&
      written.contentType === message.contentType &&
      written.content === message.content;
    if (!isSame) return undefined;
    return isTerminated ? tokens.slice(0, -1) : tokens;
  }

  // Gives each tool result the full name of its tool and, unless it states another, the channel of the call.
  #completeResults(messages: readonly Message[]): readonly Message[] {
    const channels = new Map<string, Channel>();
    return messages.map((message) => {
      const recipient = this.#recipient(message);
      if (message.role !== 'tool') {
        if (recipient !== undefined) channels.set(recipient, channelOf(message));
        return message;
      }
      const name = this.#toolName(message.name ?? '', channels);
      return { ...message, name, channel: message.channel ?? channels.get(name) ?? 'commentary' };
    });
  }

  // Removes the analysis before the last answer that a new turn follows. Function calls on the analysis channel stay,
  // because their results do.
  #dropOldAnalysis(messages: readonly Message[]): readonly Message[] {
    const lastTurn = messages.findLastIndex(({ role }) => role !== 'assistant' && role !== 'tool');
    const lastFinal = messages
      .slice(0, Math.max(0, lastTurn))
      .findLastIndex((message) => message.role === 'assistant' && channelOf(message) === 'final');
    return messages.filter((message, index) => index > lastFinal || !this.#isReasoning(message));
  }

  #isReasoning(message: Message): boolean {
    if (message.channel !== 'analysis') return false;
    return !isFunctionName(message.role === 'tool' ? message.name : this.#recipient(message));
  }

  #recipient({ role, recipient }: Message): string | undefined {
    if (role === 'tool') return 'assistant';
    if (role !== 'assistant' || recipient === undefined || recipient === '') return undefined;
    const isFunction = isFunctionName(recipient) || this.#toolNames.nameOf(recipient) !== undefined;
    return isFunction ? this.#functionName(recipient) : toWord(recipient);
  }

  // A tool is a function unless it is built in: described as such, called without `functions.`, or one of gpt-oss's own.
  #toolName(name: string, called: ReadonlyMap<string, unknown>): string {
    const word = toWord(name);
    const isBuiltIn =
      this.#toolNames.nameOf(name) === undefined &&
      (this.#toolNames.namespaceOf(name) !== undefined || called.has(word) || isTrainedName(name));
    return isBuiltIn ? word : this.#functionName(name);
  }

  #functionName(name: string): string {
    return `${FUNCTIONS}.${this.#toolNames.identifierOf(name)}`;
  }

  #terminator(message: Message): number {
    const isCall = message.role === 'assistant' && this.#recipient(message) !== undefined;
    return isCall ? this.#ids.call : this.#ids.end;
  }

  #write(...segments: readonly (number | string)[]): void {
    for (const segment of segments) {
      if (typeof segment === 'number') this.tokens.push(segment);
      else for (const id of this.#tokenizer.encode(segment)) this.tokens.push(id);
    }
  }
}

type MessageEnd = Extract<ParserEvent, { type: 'message-end' }>;

function isMessageEnd(event: ParserEvent): event is MessageEnd {
  return event.type === 'message-end';
}

function isInstruction({ role }: Message): boolean {
  return role === 'system' || role === 'developer';
}

function channelOf({ channel, recipient }: Message): Channel {
  return channel ?? (recipient === undefined || recipient === '' ? 'final' : 'commentary');
}

function authorOf({ role, name }: Message): string {
  if (role === 'tool') return name ?? '';
  const author = role === 'system' ? 'developer' : role;
  return name === undefined ? author : `${author}:${toWord(name)}`;
}

// Reduces text to one word, so that it cannot read as another part of the header.
function toWord(text: string): string {
  return text.replace(/[^\p{L}\p{M}\p{N}_.:/$@+-]/gu, '_');
}

function checkMessages(messages: readonly Message[]): void {
  if (!Array.isArray(messages)) throw new TypeError('messages must be an array of messages.');
  messages.forEach(checkMessage);
}

function checkMessage(message: Message, index: number): void {
  if (typeof message !== 'object' || message === null) {
    throw new TypeError(`messages[${index}] must be a message object.`);
  }
  const { role, content, channel, name } = message;
  checkOneOf(`messages[${index}].role`, role, ROLES);
  if (typeof content !== 'string') {
    throw new TypeError(`messages[${index}].content must be a string.`);
  }
  if (channel !== undefined) checkOneOf(`messages[${index}].channel`, channel, CHANNELS);
  for (const field of ['name', 'recipient', 'contentType'] as const) {
    if (message[field] !== undefined && typeof message[field] !== 'string') {
      throw new TypeError(`messages[${index}].${field} must be a string.`);
    }
  }
  if (role === 'tool' && (typeof name !== 'string' || name === '')) {
    throw new TypeError(`messages[${index}] is a tool result; its name must be that of the tool.`);
  }
}
