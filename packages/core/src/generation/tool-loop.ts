import type { Message } from '@ossicle/harmony';
import { isOssicleError } from '../errors.ts';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
  StepState,
} from '../types/generate.ts';
import { addResults } from './add-results.ts';
import { checkGenerateOptions } from './check-generate-options.ts';
import { EventStream } from './event-stream.ts';
import { type ReadCall, type RunnableTool, readCalls, runTools, type Tools } from './run-tools.ts';
import { stepCountIs } from './stop-conditions.ts';
import { unlessAborted } from './unless-aborted.ts';

/** A generation ends after this many steps unless `stopWhen` says otherwise. */
const MAX_STEPS = 32;

/** Generates one answer; its tool calls are not run. @param steps - Those before it. */
export type GenerateOnce = (
  input: readonly Message[],
  options: GenerateOptions,
  steps: readonly GenerateResult[],
) => Generation;

/** Takes the results of a step's tools, before the application hears of the step's end. */
export type OnResults = (results: readonly Message[]) => void;

type Push = (event: GenerateEvent) => void;

/**
 * Generates an answer in steps: runs the tools that the model calls, and lets it go on with their results until it
 * calls none. A call of a tool without an `execute` ends the generation with the reason `tool-calls`; if no tool has
 * one, so does every call.
 *
 * @param begun - Its conversation, and the steps that have ended before if it goes on: the result counts them, but has only
 * the messages after the conversation.
 */
export function generateWithTools(
  generateOnce: GenerateOnce,
  begun: StepState,
  options: GenerateOptions,
  onResults?: OnResults,
): Generation {
  return new EventStream(
    (push, signal) => runSteps(generateOnce, begun, { ...options, signal }, push, onResults),
    options.signal,
  );
}

/** All tools, by the names of their calls. A built-in namespace without tools is called itself, with text. */
function toolsOf({ tools = [], builtInTools = [] }: GenerateOptions): Tools {
  const builtIn = builtInTools.flatMap(({ tools: inner = [], ...namespace }) =>
    inner.length > 0
      ? inner.map((tool) => ({ ...tool, name: `${namespace.name}.${tool.name}` }))
      : [{ ...namespace, takesText: true }],
  );
  return new Map([...tools, ...builtIn].map((tool: RunnableTool) => [tool.name, tool]));
}

async function runSteps(
  generateOnce: GenerateOnce,
  { messages: history, steps: earlier }: StepState,
  options: GenerateOptions & { readonly signal: AbortSignal },
  push: Push,
  onResults?: OnResults,
): Promise<GenerateResult> {
  const { signal, prepareStep, onStepFinish } = options;
  const { maxTokens = Infinity, reasoningBudget } = options;
  const steps = [...earlier];
  let total: GenerateResult | undefined =
    steps.length > 0 ? { ...steps.reduce(addResults), messages: [] } : undefined;
  for (;;) {
    const messages = [...history, ...(total?.messages ?? [])];
    const left = maxTokens - (total?.usage.completionTokens ?? 0);
    const spent = total?.usage.reasoningTokens ?? 0;
    const prepared = await unlessAborted(signal, prepareStep?.({ steps: [...steps], messages }));
    if (total && signal.aborted) return { ...total, reason: 'aborted' };
    const own = {
      ...options,
      ...(reasoningBudget && { reasoningBudget: Math.max(0, reasoningBudget - spent) }),
      ...(total && { prefillText: undefined }), // only the first step begins with it
      // A tool that must be called has been.
      ...(total && mustCall(options) && { toolChoice: 'auto' as const }),
      ...prepared,
      ...(left !== Infinity && { maxTokens: Math.max(1, left) }), // 0 or less only if the answer that goes on has more already
    };
    checkGenerateOptions(own);
    const step = runStep(generateOnce(messages, own, [...steps]), push);
    const result = await step.catch((error: unknown) => {
      const isFull = isOssicleError(error) && error.code === 'context-overflow';
      if (total && isFull) return undefined; // the results of tools fill the context
      throw error;
    });
    if (!result) return { ...total!, reason: 'length' };

    const tools = toolsOf(own);
    const hasTokensLeft = result.usage.completionTokens < left;
    const mayRun = result.reason === 'tool-calls' && hasTokensLeft && !signal.aborted;
    const calls = mayRun ? await unlessAborted(signal, callsToRun(result, tools, own)) : undefined;
    const answers = calls ? await runTools(calls, own, push, signal) : [];
    const results = withChannels(answers, result);
    if (results.length > 0) onResults?.(results);
    const ended = { ...result, messages: [...result.messages, ...results] };
    steps.push(ended);
    total = total ? addResults(total, ended) : ended;
    const { reason, usage, messages: added } = ended;
    push({ type: 'step-finish', reason, usage, messages: added });
    await unlessAborted(signal, onStepFinish?.(ended));
    if (reason === 'tool-calls' && signal.aborted) return { ...total, reason: 'aborted' };
    if (!calls) return total;
    const state: StepState = { steps: [...steps], messages: [...history, ...total.messages] };
    if (await unlessAborted(signal, isStopped(state, options.stopWhen))) return total;
  }
}

/** Whether the model has to call a tool. */
export function mustCall({ toolChoice = 'auto' }: GenerateOptions): boolean {
  return toolChoice === 'required' || typeof toolChoice === 'object';
}

/** Passes a step's events on, except those that tell its end. */
async function runStep(generation: Generation, push: Push): Promise<GenerateResult> {
  for await (const event of generation) {
    if (event.type !== 'finish' && event.type !== 'step-finish') push(event);
  }
  return generation.result;
}

/** The calls of a step, if they can all be answered here. If no tool has an `execute`, none can. */
async function callsToRun(
  { toolCalls }: GenerateResult,
  tools: Tools,
  options: GenerateOptions,
): Promise<readonly ReadCall[] | undefined> {
  if (![...tools.values()].some(({ execute }) => execute)) return undefined;
  return readCalls(toolCalls, tools, options);
}

/** The results of calls, each on the channel of its call. */
function withChannels(
  answers: readonly (Message | undefined)[],
  { messages }: GenerateResult,
): Message[] {
  const calls = messages.filter(
    ({ recipient, channel }) => recipient !== undefined && channel !== 'final',
  );
  return answers.flatMap((answer, i) => {
    const channel = calls[i]?.channel;
    return answer ? [{ ...answer, ...(channel && { channel }) }] : [];
  });
}

async function isStopped(
  state: StepState,
  stopWhen: GenerateOptions['stopWhen'] = stepCountIs(MAX_STEPS),
): Promise<boolean> {
  for (const condition of [stopWhen].flat()) if (await condition(state)) return true;
  return false;
}
