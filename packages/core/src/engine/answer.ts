import { parseJson } from '../generation/parse-json.ts';
import type {
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  TokenLogprobs,
} from '../types/generate.ts';
import type { ChatOutput } from './chat-format.ts';
import type { Constraint } from './constraint/constraint.ts';
import { LoopGuard } from './control/loop-guard.ts';
import type { BegunAnswer } from './conversation/saved-conversation.ts';
import type { AnswerToken } from './decoder.ts';
import type { GenerationRecord } from './generation-record.ts';
import { tokenLogprobs } from './logprobs.ts';
import type { CheckpointTokenizer } from './tokenizer.ts';

/** The prompt of an answer. */
interface AnswerPrompt {
  /** Token ids. */
  readonly tokens: readonly number[];
  /** Whether it was rendered from messages. */
  readonly hasMessages: boolean;
  /** How many messages were left out of it. */
  readonly droppedMessages: number;
}

/** One answer, token by token: its events, what may come next, and why it ends. */
export class Answer {
  /** What may come next; `undefined` if anything may. */
  readonly constraint: Constraint | undefined;
  readonly #tokenizer: CheckpointTokenizer | undefined;
  readonly #options: GenerateOptions;
  readonly #record: GenerationRecord;
  readonly #emit: (event: GenerateEvent) => void;
  readonly #output: ChatOutput | undefined;
  readonly #loopGuard: LoopGuard | undefined;
  readonly #logprobs: TokenLogprobs[] = [];
  readonly #start: number;
  readonly #droppedMessages: number;
  #end: FinishReason | undefined;

  /** @throws RangeError if the options ask for what cannot be enforced. */
  constructor(
    tokenizer: CheckpointTokenizer | undefined,
    options: GenerateOptions,
    { tokens, hasMessages, droppedMessages }: AnswerPrompt,
    record: GenerationRecord,
    emit: (event: GenerateEvent) => void,
  ) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#record = record;
    this.#emit = emit;
    this.#output = tokenizer?.chat?.read(options, tokens);
    this.constraint = tokenizer?.chat?.constrain(options, tokens, hasMessages);
    this.#loopGuard = this.#output && options.loopGuard !== false ? new LoopGuard() : undefined;
    this.#start = tokens.length;
    this.#droppedMessages = droppedMessages;
  }

  /** Why the answer has ended; `undefined` if it goes on. */
  get end(): FinishReason | undefined {
    return this.#end;
  }

  /** What it takes to go on with the answer in another session. */
  get begun(): Omit<BegunAnswer, 'steps'> {
    const logprobs = [...this.#logprobs];
    return { start: this.#start, droppedMessages: this.#droppedMessages, logprobs };
  }

  /** Takes the tokens that an answer has already. */
  replay(tokens: readonly number[], logprobs: readonly TokenLogprobs[]): void {
    if (logprobs.length === tokens.length) this.#logprobs.push(...logprobs);
    for (const token of tokens) {
      if (this.#end) return;
      this.constraint?.push(token);
      this.push({ token, isForced: true });
    }
  }

  /** Takes the next token; {@link Answer.constraint} has it already. */
  push({ token, isForced, logits }: AnswerToken): void {
    this.#record.addToken(token, isForced);
    if (logits) {
      const decode = (id: number): string => this.#tokenizer?.decode([id]) ?? '';
      const { logprobs: count = 0 } = this.#options;
      this.#logprobs.push(tokenLogprobs(logits, token, count, decode));
    }
    for (const event of this.#output?.push(token) ?? []) this.#emit(event);
    if (this.#output?.isStopped) this.#end = 'stop';
    else if (this.#loopGuard?.push(token)) this.#end = 'loop';
  }

  /** The result. @param cut - Why the answer ends if it has not ended by itself. */
  finish(cut: FinishReason): GenerateResult {
    for (const event of this.#output?.finish() ?? []) this.#emit(event);
    const summary = this.#output?.summary();
    const isCall = this.#end === 'stop' && (summary?.toolCalls.length ?? 0) > 0;
    const reason = isCall ? 'tool-calls' : (this.#end ?? cut);
    const result = this.#record.finish(reason, summary, this.#output?.reasoningTokens);
    const { responseFormat, logprobs } = this.#options;
    const json = responseFormat?.type === 'json' ? parseJson(result.text) : undefined;
    return {
      ...result,
      ...(this.#droppedMessages > 0 && { droppedMessages: this.#droppedMessages }),
      ...(json !== undefined && { json }),
      ...(logprobs !== undefined && { logprobs: this.#logprobs }),
    };
  }
}
