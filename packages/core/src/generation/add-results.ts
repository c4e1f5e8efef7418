import type { GenerateResult } from '../types/generate.ts';

/** Joins two steps: counts and times add up; the prompt and the time to the first token are those of the first. */
export function addResults(a: GenerateResult, b: GenerateResult): GenerateResult {
  const [first, second] = [a.timings, b.timings];
  return {
    ...b,
    text: a.text + b.text,
    reasoning: a.reasoning + b.reasoning,
    toolCalls: [...a.toolCalls, ...b.toolCalls],
    messages: [...a.messages, ...b.messages],
    usage: {
      ...a.usage,
      completionTokens: a.usage.completionTokens + b.usage.completionTokens,
      reasoningTokens: a.usage.reasoningTokens + b.usage.reasoningTokens,
    },
    timings: {
      timeToFirstTokenMs: first.timeToFirstTokenMs,
      prefillMs: first.prefillMs + second.prefillMs,
      decodeMs: first.decodeMs + second.decodeMs,
      prefillTokensPerSecond: meanSpeed(
        [first.prefillTokensPerSecond, first.prefillMs],
        [second.prefillTokensPerSecond, second.prefillMs],
      ),
      decodeTokensPerSecond: meanSpeed(
        [first.decodeTokensPerSecond, first.decodeMs],
        [second.decodeTokensPerSecond, second.decodeMs],
      ),
    },
    ...(a.logprobs && { logprobs: [...a.logprobs, ...(b.logprobs ?? [])] }),
  };
}

type TimedSpeed = readonly [tokensPerSecond: number, milliseconds: number];

/** The mean of two speeds, weighted by their durations. */
function meanSpeed([a, aMs]: TimedSpeed, [b, bMs]: TimedSpeed): number {
  return aMs + bMs > 0 ? (a * aMs + b * bMs) / (aMs + bMs) : 0;
}
