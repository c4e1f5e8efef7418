import { CHANNELS, type Channel, type Message, type Role } from './message.ts';
import { createParser, type ParserEvent } from './parse.ts';
import {
  type PromptOptions,
  renderDeveloperText,
  renderInstructions,
  renderSystemText,
} from './prompt-text.ts';
import { type SpecialTokens, specialTokens } from './special-tokens.ts';
import type { Tokenizer } from './tokenizer.ts';
import { createToolNames, FUNCTIONS, type ToolNames } from './tool-names.ts';

/** Options of rendering messages alone. */
export interface MessageOptions extends Pick<PromptOptions, 'tools' | 'systemTools'> {
  /**
   * Whether the reasoning of finished turns is kept. By default it is dropped, as the model was trained: the analysis
   * before an answer goes once a user's message follows that answer. Calls of functions and their results stay.
   */
  readonly keepAnalysis?: boolean;
}

/** Options of rendering a conversation. */
export interface ConversationOptions extends PromptOptions, MessageOptions {
  /** Leaves the system message out. Models were trained to have one. */
  readonly omitSystemMessage?: boolean;
}

const ROLES: readonly Role[] = ['system', 'developer', 'user', 'assistant', 'tool'];

/**
 * Renders a conversation as the model's prompt: system message, developer message, the messages, and
 * `<|start|>assistant`, from where the model goes on.
 *
 * Text is encoded by itself and never becomes a control token. `system` and `developer` messages both are instructions;
 * those before the first other message are joined in the developer message, later ones stay where they are.
 *
 * @throws TypeError, RangeError where a message or an option is not what its type says.
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
  const given = [
    options.instructions ?? '',
    ...messages.slice(0, head).map(({ content }) => content),
  ];
  const instructions = given.filter((text) => text !== '').join('\n\n');
  const developerText = renderDeveloperText({ ...options, instructions });
  if (!options.omitSystemMessage) renderer.add('system', renderSystemText(options));
  if (developerText !== '') renderer.add('developer', developerText);
  renderer.addMessages(messages.slice(head));
  renderer.start('assistant');
  return renderer.tokens;
}

/**
 * Renders messages alone: no system message, and no `<|start|>assistant` to ask for an answer.
 *
 * @throws TypeError, RangeError where a message is not what its type says.
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
  readonly #options: MessageOptions;
  readonly #toolNames: ToolNames;
  readonly #ids: SpecialTokens;

  constructor(tokenizer: Tokenizer, options: MessageOptions) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#toolNames = createToolNames(options.tools ?? []);
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
    for (const message of this.#options.keepAnalysis === true
      ? messages
      : this.#dropOldAnalysis(messages)) {
      this.#addMessage(message);
    }
  }

  #addMessage(message: Message): void {
    const { channel: channelToken, message: messageToken, end } = this.#ids;
    if (message.role === 'assistant') {
      this.#addAssistant(message);
    } else if (message.role === 'tool') {
      this.start(`${this.#toolHeader(message)} to=assistant`);
      this.#write(
        channelToken,
        message.channel ?? 'commentary',
        messageToken,
        message.content,
        end,
      );
    } else {
      const suffix = message.name === undefined ? '' : `:${toWord(message.name)}`;
      if (isInstruction(message))
        this.add(`developer${suffix}`, renderInstructions(message.content));
      else this.add(`user${suffix}`, message.content);
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
    const isFunction = recipient?.startsWith(`${FUNCTIONS}.`) === true;
    const contentType = message.contentType ?? (isFunction ? 'json' : undefined);
    this.start(recipient === undefined ? 'assistant' : `assistant to=${recipient}`);
    this.#write(channelToken);
    if (contentType === undefined) this.#write(channelOf(message));
    else if (contentType === 'json') this.#write(`${channelOf(message)} `, constrain, 'json');
    else this.#write(`${channelOf(message)} ${toWord(contentType)}`);
    this.#write(messageToken, message.content, this.#terminator(message));
  }

  // The model's own tokens, without the terminator, if they are well-formed and are this message and nothing else.
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

  // Analysis before the last answer that is followed by a new turn. Calls of functions on the analysis channel stay,
  // since their results do.
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
    return tool?.startsWith(`${FUNCTIONS}.`) !== true;
  }

  #recipient({ recipient }: Message): string | undefined {
    if (recipient === undefined || recipient === '') return undefined;
    const isFunction =
      recipient.startsWith(`${FUNCTIONS}.`) || this.#toolNames.nameOf(recipient) !== undefined;
    return isFunction
      ? `${FUNCTIONS}.${this.#toolNames.identifierOf(recipient)}`
      : toWord(recipient);
  }

  #toolHeader({ name = '' }: Message): string {
    const isSystemTool = this.#options.systemTools?.some(
      (namespace) => name === namespace.name || name.startsWith(`${namespace.name}.`),
    );
    const isFunction = !isSystemTool || this.#toolNames.nameOf(name) !== undefined;
    return isFunction ? `${FUNCTIONS}.${this.#toolNames.identifierOf(name)}` : toWord(name);
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

// What stands in a header must not read as another part of it.
function toWord(text: string): string {
  return text.replace(/[^\w.:/$+-]/g, '_');
}

function checkMessages(messages: readonly Message[]): void {
  if (!Array.isArray(messages)) throw new TypeError('messages must be an array of messages.');
  messages.forEach(checkMessage);
}

function checkMessage(message: Message, index: number): void {
  if (typeof message !== 'object' || message === null) {
    throw new TypeError(`messages[${index}] is no message.`);
  }
  const { role, content, channel, name } = message;
  if (!ROLES.includes(role)) {
    throw new RangeError(
      `messages[${index}].role is ${JSON.stringify(role)}; there are ${ROLES.join(', ')}.`,
    );
  }
  if (typeof content !== 'string') {
    throw new TypeError(`messages[${index}].content is not a string.`);
  }
  if (channel !== undefined && !CHANNELS.includes(channel)) {
    throw new RangeError(
      `messages[${index}].channel is ${JSON.stringify(channel)}; there are ${CHANNELS.join(', ')}.`,
    );
  }
  for (const field of ['name', 'recipient', 'contentType'] as const) {
    if (message[field] !== undefined && typeof message[field] !== 'string') {
      throw new TypeError(`messages[${index}].${field} is not a string.`);
    }
  }
  if (role === 'tool' && (typeof name !== 'string' || name === '')) {
    throw new TypeError(`messages[${index}] is a tool's result; its name must say which tool's.`);
  }
}
