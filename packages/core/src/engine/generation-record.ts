import type { FinishReason, GenerateResult } from '../types/generate.ts';
import type { OutputSummary } from './chat-format.ts';

const nothing = (): OutputSummary => ({ text: '', reasoning: '', toolCalls: [], messages: [] });

/** Counts the tokens of one generation and measures its times, from the creation of the record. */
export class GenerationRecord {
  /** The tokens that belong to the answer. */
  readonly tokens: number[] = [];
  readonly #startMs = performance.now();
  #promptTokens = 0;
  #reusedTokens = 0;
  #evaluatedTokens = 0;
  #prefillStartMs = this.#startMs;
  #firstTokenMs: number | undefined;
  /** Tokens up to the first that was sampled. */
  #firstTokens = 0;
  #lastTokenMs: number | undefined;

  /**
   * Call before the prompt, except for its reused tokens, is evaluated.
   *
   * @param reusedTokens - Tokens that need no evaluation, including tokens of the answer that is resumed.
   * @param evaluatedTokens - Tokens to evaluate. Default: the rest of the prompt.
   */
  startPrefill(
    promptTokens: number,
    reusedTokens: number,
    evaluatedTokens: number = promptTokens - reusedTokens,
  ): void {
    this.#promptTokens = promptTokens;
    this.#reusedTokens = Math.min(reusedTokens, promptTokens);
    this.#evaluatedTokens = evaluatedTokens;
    this.#prefillStartMs = performance.now();
  }

  /**
   * Adds a token when it arrives.
   *
   * @param isForced - Whether it was not sampled: the times are those of the tokens that the GPU has made.
   */
  addToken(token: number, isForced = false): void {
    this.tokens.push(token);
    if (isForced) return;
    this.#lastTokenMs = performance.now();
    this.#firstTokenMs ??= this.#lastTokenMs;
    this.#firstTokens ||= this.tokens.length;
  }

  /** Ends the generation, and returns its result. */
  finish(
    reason: FinishReason,
    summary: OutputSummary = nothing(),
    reasoningTokens = 0,
  ): GenerateResult {
    const endMs = performance.now();
    const firstTokenMs = this.#firstTokenMs ?? endMs;
    const completionTokens = this.tokens.length;
    const prefillMs = this.#promptTokens > 0 ? firstTokenMs - this.#prefillStartMs : 0;
    const decodeMs = (this.#lastTokenMs ?? endMs) - firstTokenMs;
    const usage = {
      promptTokens: this.#promptTokens,
      reusedTokens: this.#reusedTokens,
      completionTokens,
      reasoningTokens,
    };
    const timings = {
      timeToFirstTokenMs: firstTokenMs - this.#startMs,
      prefillMs,
      decodeMs,
      prefillTokensPerSecond: perSecond(this.#evaluatedTokens, prefillMs),
      decodeTokensPerSecond: perSecond(completionTokens - this.#firstTokens, decodeMs),
    };
    return { ...summary, reason, usage, timings };
  }
}

function perSecond(count: number, milliseconds: number): number {
  return milliseconds > 0 ? (count / milliseconds) * 1000 : 0;
}
