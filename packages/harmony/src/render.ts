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
import type { Tokenizer } from './tokenizer.ts';
import { createToolNames, FUNCTIONS, isFunctionName, type ToolNames } from './tool-names.ts';

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
    const kept = this.#keepAnalysis ? messages : this.#dropOldAnalysis(messages);
    for (const message of kept) this.#addMessage(message);
  }

  #addMessage(message: Message): void {
    const { role, name, channel = 'commentary', content } = message;
    if (role === 'assistant') {
      this.#addAssistant(message);
    } else if (role === 'tool') {
      this.start(`${this.#toolHeader(message)} to=assistant`);
      this.#write(this.#ids.channel, channel, this.#ids.message, content, this.#ids.end);
    } else {
      const suffix = name === undefined ? '' : `:${toWord(name)}`;
      if (isInstruction(message)) this.add(`developer${suffix}`, renderInstructions(content));
      else this.add(`user${suffix}`, content);
    }
  }

  #addAssistant(message: Message): void {
    const written = this.#writtenTokens(message);
    if (written) {
      if (written[0] !== this.#ids.start) this.start('assistant');
      for (const id of written) this.tokens.push(id);
      this.tokens.push(this.#terminator(message));
      return;
    }
    const { channel: channelToken, message: messageToken, constrain } = this.#ids;
    const recipient = this.#recipient(message);
    const contentType = message.contentType ?? (isFunctionName(recipient) ? 'json' : undefined);
    this.start(recipient === undefined ? 'assistant' : `assistant to=${recipient}`);
    this.#write(channelToken);
    if (contentType === undefined) this.#write(channelOf(message));
    else if (contentType === 'json') this.#write(`${channelOf(message)} `, constrain, 'json');
    else this.#write(`${channelOf(message)} ${toWord(contentType)}`);
    this.#write(messageToken, message.content, this.#terminator(message));
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
    const tool = message.role === 'tool' ? this.#toolHeader(message) : this.#recipient(message);
    return !isFunctionName(tool);
  }

  #recipient({ recipient }: Message): string | undefined {
    if (recipient === undefined || recipient === '') return undefined;
    const isFunction = isFunctionName(recipient) || this.#toolNames.nameOf(recipient) !== undefined;
    return isFunction ? this.#functionName(recipient) : toWord(recipient);
  }

  #toolHeader({ name = '' }: Message): string {
    return this.#toolNames.namespaceOf(name) ? toWord(name) : this.#functionName(name);
  }

  #functionName(name: string): string {
    return `${FUNCTIONS}.${this.#toolNames.identifierOf(name)}`;
  }

  #terminator(message: Message): number {
    return this.#recipient(message) === undefined ? this.#ids.end : this.#ids.call;
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

// Reduces text to one word, so that it cannot read as another part of the header.
function toWord(text: string): string {
  return text.replace(/[^\w.:/$+-]/g, '_');
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
