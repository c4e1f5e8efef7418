import type { StopCondition } from '../types/generate.ts';

/** Ends a generation with tools after a number of steps. */
export function stepCountIs(count: number): StopCondition {
  return ({ steps }) => steps.length >= count;
}

/** Ends a generation with tools after a step that calls a tool. */
export function hasToolCall(name: string): StopCondition {
  return ({ steps }) => steps.at(-1)?.toolCalls.some((call) => call.name === name) === true;
}
