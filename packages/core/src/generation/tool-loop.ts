import type { Message, ToolDefinition } from '@ossicle/harmony';
import { messageOf } from '../errors.ts';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
  ToolCall,
} from '../types/generate.ts';
import { EventStream } from './event-stream.ts';

/** A model that calls tools without end is left at its call after this many rounds. */
const MAX_ROUNDS = 32;

/** Generates one answer, tool calls included but not executed. */
export type GenerateOnce = (input: readonly Message[], options: GenerateOptions) => Generation;

/**
 * Runs the tools that have an `execute`, and lets the model go on with their results, until it answers. A call of a tool
 * without one ends the generation with `tool-calls`, as do all calls where no tool has one.
 */
export function generateWithTools(
  generateOnce: GenerateOnce,
  input: string | readonly Message[],
  options: GenerateOptions,
): Generation {
  const messages: readonly Message[] =
    typeof input === 'string' ? [{ role: 'user', content: input }] : copyOf(input);
  const tools = new Map(options.tools?.map((tool) => [tool.name, tool]));
  if (![...tools.values()].some(({ execute }) => execute)) return generateOnce(messages, options);
  return new EventStream(
    (push, signal) =>
      runRounds(generateOnce, messages, { ...options, signal }, tools, push, signal),
    options.signal,
  );
}

async function runRounds(
  generateOnce: GenerateOnce,
  messages: readonly Message[],
  options: GenerateOptions,
  tools: ReadonlyMap<string, ToolDefinition>,
  push: (event: GenerateEvent) => void,
  signal: AbortSignal,
): Promise<GenerateResult> {
  let total: GenerateResult | undefined;
  for (let round = 1; ; round++) {
    const left = (options.maxTokens ?? Infinity) - (total?.usage.completionTokens ?? 0);
    const generation = generateOnce([...messages, ...(total?.messages ?? [])], {
      ...options,
      ...(left !== Infinity && { maxTokens: left }),
    });
    const callsBefore = total?.toolCalls.length ?? 0;
    for await (const event of generation) {
      if (event.type === 'tool-call') push({ ...event, id: callId(event.id, callsBefore) });
      else if (event.type !== 'finish') push(event);
    }
    const result = await generation.result;
    total = total ? add(total, result) : result;
    const calls = total.toolCalls.slice(callsBefore);
    const isAnswerable =
      result.reason === 'tool-calls' &&
      round < MAX_ROUNDS &&
      (options.maxTokens ?? Infinity) > total.usage.completionTokens &&
      calls.every(({ name }) => tools.get(name)?.execute);
    if (isAnswerable && !signal.aborted) {
      const results = await runAll(calls, tools, push, signal);
      total = { ...total, messages: [...total.messages, ...results] };
      if (!signal.aborted) continue;
    }
    if (signal.aborted) total = { ...total, reason: 'aborted' };
    const { reason, usage, timings } = total;
    push({ type: 'finish', reason, usage, timings });
    return total;
  }
}

/** The application may go on with its array, as with a message that it shows while it is generated. */
function copyOf(messages: readonly Message[]): readonly Message[] {
  return Array.isArray(messages) ? messages.slice() : messages; // what is none is refused where it is rendered
}

/** Runs tools one after another, until the signal aborts: a tool that does not heed it is left to itself. */
async function runAll(
  calls: readonly ToolCall[],
  tools: ReadonlyMap<string, ToolDefinition>,
  push: (event: GenerateEvent) => void,
  signal: AbortSignal,
): Promise<Message[]> {
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const results: Message[] = [];
  for (const call of calls) {
    const { id, name } = call;
    const result = await Promise.race([aborted, run(tools.get(name), call, signal)]);
    if (!result) break;
    push({ type: 'tool-result', id, name, output: result.output });
    results.push({ role: 'tool', name, content: result.content });
  }
  return results;
}

/** What a tool returned, and how the model is told. */
interface ToolResult {
  readonly output: unknown;
  readonly content: string;
}

/** What the tool returns; what it throws, or what no JSON can hold, is told to the model, which may do better. */
async function run(
  tool: ToolDefinition | undefined,
  { input, inputText }: ToolCall,
  signal: AbortSignal,
): Promise<ToolResult> {
  if (input === undefined) return failure(`The arguments are not whole JSON: ${inputText}`);
  try {
    const output = await tool?.execute?.(input, { signal });
    const content = typeof output === 'string' ? output : (JSON.stringify(output) ?? 'null');
    return { output, content };
  } catch (error) {
    return failure(messageOf(error));
  }
}

function failure(message: string): ToolResult {
  const output = { error: message };
  return { output, content: JSON.stringify(output) };
}

/** Calls are numbered on from round to round. */
function callId(id: string, callsBefore: number): string {
  return `call_${callsBefore + Number(id.replace('call_', ''))}`;
}

/** Both rounds as one generation: counts and times add up, the time to the first token is the first round's. */
function add(a: GenerateResult, b: GenerateResult): GenerateResult {
  const completionTokens = a.usage.completionTokens + b.usage.completionTokens;
  const prefillMs = a.timings.prefillMs + b.timings.prefillMs;
  const decodeMs = a.timings.decodeMs + b.timings.decodeMs;
  const evaluated =
    a.timings.prefillTokensPerSecond * a.timings.prefillMs +
    b.timings.prefillTokensPerSecond * b.timings.prefillMs;
  const decoded =
    a.timings.decodeTokensPerSecond * a.timings.decodeMs +
    b.timings.decodeTokensPerSecond * b.timings.decodeMs;
  const calls = b.toolCalls.map((call) => ({ ...call, id: callId(call.id, a.toolCalls.length) }));
  return {
    ...b,
    text: a.text + b.text,
    reasoning: a.reasoning + b.reasoning,
    toolCalls: [...a.toolCalls, ...calls],
    messages: [...a.messages, ...b.messages],
    usage: { ...a.usage, completionTokens },
    timings: {
      timeToFirstTokenMs: a.timings.timeToFirstTokenMs,
      prefillMs,
      decodeMs,
      prefillTokensPerSecond: prefillMs > 0 ? evaluated / prefillMs : 0,
      decodeTokensPerSecond: decodeMs > 0 ? decoded / decodeMs : 0,
    },
    ...(a.logprobs && { logprobs: [...a.logprobs, ...(b.logprobs ?? [])] }),
  };
}
