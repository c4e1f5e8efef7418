import {
  type Channel,
  createParser,
  createToolNames,
  type HarmonyParser,
  type Message,
  type ParserEvent,
  parseToolArguments,
  stopTokens,
  type Tokenizer,
} from '@ossicle/harmony';
import type { GenerateEvent, GenerateOptions, ToolCall } from '../types/generate.ts';
import type { ChatOutput, OutputSummary } from './chat-format.ts';

/** Reads generated tokens as Harmony, turns them into events, and detects the end of the answer. */
export class HarmonyOutput implements ChatOutput {
  readonly #parser: HarmonyParser;
  readonly #stopTokens: ReadonlySet<number>;
  #stop: readonly string[] = [];
  readonly #names: ReturnType<typeof createToolNames>;
  readonly #toolCalls: ToolCall[] = [];
  readonly #messages: Message[] = [];
  #reasoning = '';
  /** The final channel, as far as it has been emitted. */
  #text = '';
  /** The open message's text for the user, as far as it has been emitted. */
  #emitted = '';
  /** What the prompt has of the message that it leaves open, until the first token comes. */
  readonly #begun: GenerateEvent[];
  /** Text held back because it may be the beginning of a stop string. */
  #held = '';
  /** The id of the call that is open. */
  #callId = '';
  #isStopped = false;
  #isReasoning = false;
  #reasoningTokens = 0;
  /** Whether the open message is none of the answer's. */
  #isForeign = false;
  /** Whether the tokens have ended: a message that is still open is cut short. */
  #isCut = false;

  /** @param prompt - The ids before the answer. */
  constructor(tokenizer: Tokenizer, options: GenerateOptions, prompt: ArrayLike<number> = []) {
    const { tools = [], builtInTools = [], stop = [] } = options;
    this.#names = createToolNames(tools, builtInTools);
    this.#parser = createParser(tokenizer, { toolNames: this.#names, prompt });
    this.#stopTokens = new Set(stopTokens(tokenizer));
    this.#begun = this.#parser.begin().flatMap((event) => this.#onEvent(event));
    this.#stop = stop; // not looked for in the prompt
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  get reasoningTokens(): number {
    return this.#reasoningTokens;
  }

  push(id: number): GenerateEvent[] {
    const wasReasoning = this.#isReasoning;
    const events = this.#parser.push(id).flatMap((event) => this.#onEvent(event));
    events.unshift(...this.#begun.splice(0));
    if (wasReasoning && this.#isReasoning) this.#reasoningTokens++;
    if (this.#stopTokens.has(id)) this.#isStopped = true;
    return events;
  }

  finish(): GenerateEvent[] {
    this.#isCut = true;
    const events = this.#parser.finish().flatMap((event) => this.#onEvent(event));
    return [...this.#begun.splice(0), ...events];
  }

  summary(): OutputSummary {
    return {
      text: this.#text,
      reasoning: this.#reasoning,
      toolCalls: this.#toolCalls,
      messages: this.#messages,
    };
  }

  #onEvent(event: ParserEvent): GenerateEvent[] {
    if (event.type === 'message-start') return this.#onStart(event);
    if (event.type === 'message-end') this.#isReasoning = false;
    if (this.#isForeign) return [];
    return event.type === 'message-end' ? this.#onMessage(event.message) : this.#onContent(event);
  }

  /** The answer ends before a message of another role, and before one that does not wait for a call's result. */
  #onStart(event: ParserEvent & { type: 'message-start' }): GenerateEvent[] {
    const { role, channel, recipient } = event;
    this.#isReasoning = channel === 'analysis' && recipient === undefined;
    this.#isForeign =
      role !== 'assistant' || (this.#toolCalls.length > 0 && recipient === undefined);
    if (this.#isForeign) this.#isStopped = true;
    this.#emitted = '';
    this.#callId = `call_${crypto.randomUUID()}`;
    return [];
  }

  #onContent(event: ParserEvent & { type: 'content-delta' }): GenerateEvent[] {
    const { channel, text } = event;
    if (isCall(event)) {
      const name = this.#nameOf(event.recipient);
      return [{ type: 'tool-input-delta', id: this.#callId, name, delta: text }];
    }
    if (channel === 'analysis') {
      this.#reasoning += text;
      return [{ type: 'reasoning-delta', text }];
    }
    return isAnswer(channel) ? this.#onText(text, channel) : [];
  }

  #onText(text: string, channel: AnswerChannel): GenerateEvent[] {
    if (this.#isStopped) return [];
    this.#held += text;
    const stopAt = this.#stop
      .map((stop) => this.#held.indexOf(stop))
      .filter((at) => at >= 0)
      .reduce((first, at) => Math.min(first, at), Infinity);
    if (stopAt < Infinity) {
      this.#isStopped = true;
      return this.#emit(stopAt, channel);
    }
    return this.#emit(this.#held.length - this.#undecided(), channel);
  }

  /** How many characters at the end of the held text may be the beginning of a stop string. */
  #undecided(): number {
    let longest = 0;
    for (const stop of this.#stop) {
      const most = Math.min(stop.length - 1, this.#held.length);
      for (let length = most; length > longest; length--) {
        if (this.#held.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }

  /** Emits the first characters of the held text. */
  #emit(length: number, channel: AnswerChannel): GenerateEvent[] {
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    if (text === '') return [];
    this.#emitted += text;
    if (channel === 'final') this.#text += text;
    return [{ type: 'text-delta', text, channel }];
  }

  #onMessage(message: Message): GenerateEvent[] {
    const { channel, content } = message;
    if (isCall(message)) {
      this.#messages.push(message);
      if (this.#isCut) return []; // not a call that the model has decided on
      const { recipient, contentType } = message;
      const isJson = this.#names.isJsonCall(recipient, contentType);
      const parsed = isJson ? parseToolArguments(content) : undefined;
      const isReadable = parsed && !parsed.invalid && !parsed.truncated;
      const call: ToolCall = {
        id: this.#callId,
        name: this.#nameOf(recipient),
        input: isReadable ? parsed.input : undefined,
        inputText: content,
      };
      this.#toolCalls.push(call);
      return [{ type: 'tool-call', ...call }];
    }
    if (!isAnswer(channel)) {
      this.#messages.push(message);
      return [];
    }
    const events = this.#isStopped ? [] : this.#emit(this.#held.length, channel);
    // The tokens of a message that a stop string has cut say more than its content.
    const { tokens, ...rest } = message;
    const isWhole = this.#emitted === content && tokens;
    this.#messages.push(isWhole ? message : { ...rest, content: this.#emitted });
    // Models that have seen whole conversations may end the final message with <|end|>, as in rendered histories.
    if (channel === 'final' && content.trim() !== '') this.#isStopped = true;
    return events;
  }

  /** The name of the tool that a recipient is. */
  #nameOf(recipient: string): string {
    return this.#names.nameOf(recipient) ?? recipient.replace(/^functions\./, '');
  }
}

type AnswerChannel = 'final' | 'commentary';

interface Addressed {
  readonly channel?: Channel | undefined;
  readonly recipient?: string | undefined;
}

/** Whether a message calls a tool. */
function isCall<T extends Addressed>(message: T): message is T & { readonly recipient: string } {
  return message.recipient !== undefined && message.channel !== 'final';
}

/** Whether a message that is no call is meant for the user: the final channel, or a remark on commentary. */
function isAnswer(channel: Channel | undefined): channel is AnswerChannel {
  return channel === 'final' || channel === 'commentary';
}
