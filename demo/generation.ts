import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Message,
  Model,
  ToolCall,
} from 'ossicle';
import { isoDate } from './format.ts';
import type { Settings } from './settings.ts';
import { runTool, toolDefinitions } from './tools.ts';

/** A model that keeps calling tools is stopped after this many rounds. */
const MAX_ROUNDS = 6;

/** Receives what happens while an answer is generated. */
export interface GenerationListener {
  /** One event of the model. */
  readonly onEvent: (event: GenerateEvent) => void;
  /** The answer of a tool that the page ran. */
  readonly onToolResult: (id: string, output: unknown) => void;
  /** Messages that belong to the history from now on. */
  readonly onMessages: (messages: readonly Message[]) => void;
}

/** The options of `generate()` for these settings. */
export function generateOptions(settings: Settings, signal?: AbortSignal): GenerateOptions {
  const { instructions, reasoningEffort, temperature, usesTools } = settings;
  return {
    reasoningEffort,
    temperature,
    currentDate: isoDate(new Date()),
    ...(instructions.trim() !== '' && { instructions: instructions.trim() }),
    ...(usesTools && { tools: toolDefinitions }),
    ...(signal && { signal }),
  };
}

/**
 * Answers a conversation, running the tools that the model calls until it is done.
 *
 * @returns the last result, with the tokens of all rounds and the time to the first of them.
 */
export async function answer(
  model: Model,
  history: readonly Message[],
  options: GenerateOptions,
  listener: GenerationListener,
): Promise<GenerateResult> {
  const messages = [...history];
  let first: GenerateResult | undefined;
  let completionTokens = 0;
  for (let round = 1; ; round++) {
    const generation = model.generate(messages, options);
    for await (const event of generation) listener.onEvent(event);
    const result = await generation.result;
    const added = [...result.messages];
    if (result.reason === 'tool-calls')
      for (const call of result.toolCalls) {
        const output = runTool(call.name, call.input);
        listener.onToolResult(call.id, output);
        added.push(toolMessage(call, output));
      }
    messages.push(...added);
    listener.onMessages(added);
    first ??= result;
    completionTokens += result.usage.completionTokens;
    if (result.reason !== 'tool-calls' || round === MAX_ROUNDS)
      return {
        ...result,
        usage: { ...result.usage, completionTokens },
        timings: { ...result.timings, timeToFirstTokenMs: first.timings.timeToFirstTokenMs },
      };
  }
}

function toolMessage(call: ToolCall, output: unknown): Message {
  return { role: 'tool', name: call.name, content: JSON.stringify(output) };
}
