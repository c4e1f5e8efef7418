import type {
  FinishReason,
  GenerateEvent,
  GenerateResult,
  TokenLogprobs,
} from '../types/generate.ts';
import type { OutputSummary } from './chat-format.ts';

const NOTHING: OutputSummary = { text: '', reasoning: '', toolCalls: [], messages: [] };

/** What is counted and timed of one generation. */
export class GenerationRecord {
  /** The tokens that belong to the answer. */
  readonly tokens: number[] = [];
  /** One for each token, where they are asked for. */
  readonly logprobs: TokenLogprobs[] = [];
  readonly #startMs = performance.now();
  #promptTokens = 0;
  #reusedTokens = 0;
  #prefillStartMs = this.#startMs;
  #firstTokenMs: number | undefined;
  #lastTokenMs: number | undefined;

  /** The prompt is about to be evaluated, but for what is reused. */
  startPrefill(promptTokens: number, reusedTokens: number): void {
    this.#promptTokens = promptTokens;
    this.#reusedTokens = reusedTokens;
    this.#prefillStartMs = performance.now();
  }

  /** A token has arrived. */
  addToken(token: number): void {
    this.tokens.push(token);
    this.#lastTokenMs = performance.now();
    this.#firstTokenMs ??= this.#lastTokenMs;
  }

  /** The generation has ended. */
  finish(
    reason: FinishReason,
    summary: OutputSummary = NOTHING,
  ): { readonly event: GenerateEvent; readonly result: GenerateResult } {
    const endMs = performance.now();
    const firstTokenMs = this.#firstTokenMs ?? endMs;
    const completionTokens = this.tokens.length;
    const prefillMs = this.#promptTokens > 0 ? firstTokenMs - this.#prefillStartMs : 0;
    const decodeMs = (this.#lastTokenMs ?? endMs) - firstTokenMs;
    const usage = {
      promptTokens: this.#promptTokens,
      reusedTokens: this.#reusedTokens,
      completionTokens,
    };
    const timings = {
      timeToFirstTokenMs: firstTokenMs - this.#startMs,
      prefillMs,
      decodeMs,
      prefillTokensPerSecond: perSecond(this.#promptTokens - this.#reusedTokens, prefillMs),
      decodeTokensPerSecond: perSecond(Math.max(0, completionTokens - 1), decodeMs),
    };
    return {
      event: { type: 'finish', reason, usage, timings },
      result: { ...summary, reason, usage, timings },
    };
  }
}

function perSecond(count: number, milliseconds: number): number {
  return milliseconds > 0 ? (count / milliseconds) * 1000 : 0;
}
