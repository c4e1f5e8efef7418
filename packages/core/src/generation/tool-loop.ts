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

/** A generation ends after this many rounds, even if the model still calls tools. */
const MAX_ROUNDS = 32;

/** Generates one answer; its tool calls are not run. */
export type GenerateOnce = (input: readonly Message[], options: GenerateOptions) => Generation;

type Push = (event: GenerateEvent) => void;

type Tools = ReadonlyMap<string, ToolDefinition>;

/**
 * Generates an answer in rounds: runs the tools that the model calls, and lets it go on with their results until it
 * calls none. A call of a tool without an `execute` ends the generation with the reason `tool-calls`; if no tool has
 * one, so does every call.
 */
export function generateWithTools(
  generateOnce: GenerateOnce,
  input: string | readonly Message[],
  options: GenerateOptions,
): Generation {
  const messages: readonly Message[] =
    typeof input === 'string' ? [{ role: 'user', content: input }] : copyOf(input);
  const tools = executableTools(options);
  if (tools.size === 0) return generateOnce(messages, options);
  return new EventStream(
    (push, signal) => runRounds(generateOnce, messages, { ...options, signal }, tools, push),
    options.signal,
  );
}

/** The tools that have an `execute`, by the names of their calls. */
function executableTools({ tools = [], systemMessage }: GenerateOptions): Tools {
  const builtIn = (systemMessage?.systemTools ?? []).flatMap((namespace) =>
    (namespace.tools ?? []).map((tool) => ({ ...tool, name: `${namespace.name}.${tool.name}` })),
  );
  const all = [...tools, ...builtIn].filter(({ execute }) => execute);
  return new Map(all.map((tool) => [tool.name, tool]));
}

/** Copies the conversation, as the application may append to its array during the generation. */
function copyOf(messages: readonly Message[]): readonly Message[] {
  return Array.isArray(messages) ? messages.slice() : messages; // the renderer rejects what is not an array
}

async function runRounds(
  generateOnce: GenerateOnce,
  messages: readonly Message[],
  options: GenerateOptions & { readonly signal: AbortSignal },
  tools: Tools,
  push: Push,
): Promise<GenerateResult> {
  const { signal } = options;
  const maxTokens = options.maxTokens ?? Infinity;
  let total: GenerateResult | undefined;
  for (let round = 1; ; round++) {
    const left = maxTokens - (total?.usage.completionTokens ?? 0);
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
    const goesOn =
      result.reason === 'tool-calls' &&
      round < MAX_ROUNDS &&
      total.usage.completionTokens < maxTokens &&
      calls.every(({ name }) => tools.has(name));
    if (goesOn && !signal.aborted) {
      const answers = await runTools(calls, tools, push, signal);
      total = { ...total, messages: [...total.messages, ...answers] };
    }
    if (signal.aborted) return { ...total, reason: 'aborted' };
    if (!goesOn) return total;
  }
}

/** Runs tools one after another. Stops waiting when the signal aborts, even if the running tool ignores it. */
async function runTools(
  calls: readonly ToolCall[],
  tools: Tools,
  push: Push,
  signal: AbortSignal,
): Promise<Message[]> {
  let stop: () => void = () => undefined;
  const stopped = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined);
  });
  signal.addEventListener('abort', stop);
  const messages: Message[] = [];
  try {
    for (const call of calls) {
      const { id, name } = call;
      const result = await Promise.race([stopped, runTool(tools.get(name), call, signal)]);
      if (!result) break;
      push({ type: 'tool-result', id, name, output: result.output });
      messages.push({ role: 'tool', name, content: result.content });
    }
  } finally {
    signal.removeEventListener('abort', stop); // the signal outlives many rounds
  }
  return messages;
}

/** What a tool returned, for the application and as text for the model. */
interface ToolResult {
  readonly output: unknown;
  readonly content: string;
}

/** Runs a tool. Failures, such as a result that JSON cannot hold, go to the model, which may try something else. */
async function runTool(
  tool: ToolDefinition | undefined,
  { input, inputText }: ToolCall,
  signal: AbortSignal,
): Promise<ToolResult> {
  if (input === undefined) return failure(`The arguments are not valid JSON: ${inputText}`);
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

/** Numbers a round's calls on from those of the rounds before it. */
function callId(id: string, callsBefore: number): string {
  return `call_${callsBefore + Number(id.replace('call_', ''))}`;
}

/** Joins two rounds: counts and times add up; the prompt and the time to the first token are those of the first. */
function add(a: GenerateResult, b: GenerateResult): GenerateResult {
  const calls = b.toolCalls.map((call) => ({ ...call, id: callId(call.id, a.toolCalls.length) }));
  const [first, second] = [a.timings, b.timings];
  return {
    ...b,
    text: a.text + b.text,
    reasoning: a.reasoning + b.reasoning,
    toolCalls: [...a.toolCalls, ...calls],
    messages: [...a.messages, ...b.messages],
    usage: {
      ...a.usage,
      completionTokens: a.usage.completionTokens + b.usage.completionTokens,
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
