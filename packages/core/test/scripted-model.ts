import type { Message, ToolDefinition } from '@ossicle/harmony';
import { EventStream } from '../src/generation/event-stream.ts';
import { type GenerateOnce, generateWithTools } from '../src/generation/tool-loop.ts';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  StepState,
  ToolCall,
} from '../src/types/generate.ts';

/** The output of a model in one round: an answer or tool calls. */
export type Round = string | readonly Omit<ToolCall, 'id'>[];

/** A call, as the rounds of {@link createModel} have them. */
export function call(
  name: string,
  input: unknown,
  inputText: string = JSON.stringify(input),
): Omit<ToolCall, 'id'> {
  return { name, input, inputText };
}

/** A model that follows a script, and what it has been given. */
export interface ScriptedModel {
  readonly generateOnce: GenerateOnce;
  /** The conversations of the steps. */
  readonly prompts: readonly (readonly Message[])[];
  /** The options of the steps. */
  readonly options: readonly GenerateOptions[];
}

/** A model with the given rounds, which repeats the last one; each takes 10 tokens. */
export function createModel(...rounds: readonly Round[]): ScriptedModel {
  const prompts: (readonly Message[])[] = [];
  const seen: GenerateOptions[] = [];
  let calls = 0;
  const generateOnce: GenerateOnce = (input, options) => {
    seen.push(options);
    const round = rounds[Math.min(prompts.length, rounds.length - 1)]!;
    prompts.push(input);
    return new EventStream(async (push) => {
      const text = typeof round === 'string' ? round : '';
      const toolCalls =
        typeof round === 'string' ? [] : round.map((item) => ({ id: `call_${calls++}`, ...item }));
      if (text !== '') push({ type: 'text-delta', text, channel: 'final' });
      for (const item of toolCalls) push({ type: 'tool-call', ...item });
      const result: GenerateResult = {
        text,
        reasoning: `(${prompts.length})`,
        toolCalls,
        messages: [{ role: 'assistant', channel: 'final', content: `round ${prompts.length}` }],
        reason: toolCalls.length > 0 ? 'tool-calls' : 'stop',
        usage: {
          promptTokens: 100 * prompts.length,
          reusedTokens: prompts.length,
          completionTokens: 10,
          reasoningTokens: 4,
        },
        timings: {
          timeToFirstTokenMs: 7 * prompts.length,
          prefillMs: 100,
          decodeMs: 50,
          prefillTokensPerSecond: 1000 * prompts.length,
          decodeTokensPerSecond: 180,
        },
      };
      return result;
    });
  };
  return { generateOnce, prompts, options: seen };
}

export function tool(name: string, execute?: ToolDefinition['execute']): ToolDefinition {
  return { name, description: name, ...(execute && { execute }) };
}

/** A conversation that begins with a question. */
export function started(question: string): StepState {
  return { messages: [{ role: 'user', content: question }], steps: [] };
}

export async function run(
  model: ScriptedModel,
  options: GenerateOptions,
  input: string | readonly Message[] = 'Add.',
  steps: readonly GenerateResult[] = [],
): Promise<{ events: GenerateEvent[]; result: GenerateResult }> {
  const begun = typeof input === 'string' ? started(input) : { messages: input, steps };
  const generation = generateWithTools(model.generateOnce, begun, options);
  const events: GenerateEvent[] = [];
  for await (const event of generation) events.push(event);
  return { events, result: await generation.result };
}
