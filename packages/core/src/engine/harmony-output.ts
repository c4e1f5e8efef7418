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
  readonly #stop: readonly string[];
  readonly #names: ReturnType<typeof createToolNames>;
  readonly #toolCalls: ToolCall[] = [];
  readonly #messages: Message[] = [];
  #reasoning = '';
  /** The text of the answer that has been emitted. */
  #text = '';
  /** Text held back because it may be the beginning of a stop string. */
  #held = '';
  /** Where the open message begins in the text of the answer. */
  #messageStart = 0;
  #isStopped = false;
  /** Whether the tokens have ended: a message that is still open is cut short. */
  #isCut = false;

  constructor(tokenizer: Tokenizer, options: GenerateOptions) {
    const { tools = [], stop = [], systemMessage } = options;
    this.#names = createToolNames(tools, systemMessage?.systemTools);
    this.#parser = createParser(tokenizer, { toolNames: this.#names });
    this.#stopTokens = new Set(stopTokens(tokenizer));
    this.#stop = stop;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  push(id: number): GenerateEvent[] {
    const events = this.#parser.push(id).flatMap((event) => this.#onEvent(event));
    if (this.#stopTokens.has(id)) this.#isStopped = true;
    return events;
  }

  finish(): GenerateEvent[] {
    this.#isCut = true;
    return this.#parser.finish().flatMap((event) => this.#onEvent(event));
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
    // A message in another role is not part of the answer.
    if (event.type === 'message-start' && event.role !== 'assistant') this.#isStopped = true;
    if (event.type === 'message-end' && event.message.role !== 'assistant') return [];
    if (event.type === 'content-delta') {
      if (event.channel === 'analysis' && event.recipient === undefined) {
        this.#reasoning += event.text;
        return [{ type: 'reasoning-delta', text: event.text }];
      }
      return isAnswer(event) ? this.#onText(event.text) : [];
    }
    return event.type === 'message-end' ? this.#onMessage(event.message) : [];
  }

  #onText(text: string): GenerateEvent[] {
    if (this.#isStopped) return [];
    this.#held += text;
    const stopAt = this.#stop
      .map((stop) => this.#held.indexOf(stop))
      .filter((at) => at >= 0)
      .reduce((first, at) => Math.min(first, at), Infinity);
    if (stopAt < Infinity) {
      this.#isStopped = true;
      return this.#emit(stopAt);
    }
    return this.#emit(this.#held.length - this.#undecided());
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
  #emit(length: number): GenerateEvent[] {
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    if (text === '') return [];
    this.#text += text;
    return [{ type: 'text-delta', text }];
  }

  #onMessage(message: Message): GenerateEvent[] {
    const events: GenerateEvent[] = [];
    if (isAnswer(message)) {
      if (!this.#isStopped) events.push(...this.#emit(this.#held.length));
      const content = this.#text.slice(this.#messageStart);
      this.#messageStart = this.#text.length;
      // The tokens of a message that a stop string has cut say more than its content.
      const { tokens, ...rest } = message;
      const isWhole = content === message.content && tokens;
      this.#messages.push(isWhole ? message : { ...rest, content });
      return events;
    }
    this.#messages.push(message);
    const { recipient, channel, content, contentType } = message;
    // A call that was cut short is not one that the model has decided on.
    if (recipient !== undefined && channel !== 'final' && !this.#isCut) {
      const isJson = this.#names.isJsonCall(recipient, contentType);
      const parsed = isJson ? parseToolArguments(content) : undefined;
      const isReadable = parsed && !parsed.invalid && !parsed.truncated;
      const call: ToolCall = {
        id: `call_${this.#toolCalls.length}`,
        name: this.#names.nameOf(recipient) ?? recipient.replace(/^functions\./, ''),
        input: isReadable ? parsed.input : undefined,
        inputText: content,
      };
      this.#toolCalls.push(call);
      events.push({ type: 'tool-call', ...call });
    }
    return events;
  }
}

/** Whether a message is meant for the user: the final channel, and commentary that calls no tool. */
function isAnswer({
  channel,
  recipient,
}: {
  readonly channel?: Channel | undefined;
  readonly recipient?: string | undefined;
}): boolean {
  return channel === 'final' || (channel === 'commentary' && recipient === undefined);
}
