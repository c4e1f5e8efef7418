import type { Message, ToolDefinition } from '@ossicle/harmony';
import { messageOf } from '../errors.ts';
import type { GenerateEvent, ToolCall, ToolLoopOptions } from '../types/generate.ts';
import { unlessAborted } from './unless-aborted.ts';

/** A tool as the loop runs it. */
export interface RunnableTool extends ToolDefinition {
  /** Whether the input is the text of the call, such as code, rather than JSON. */
  readonly takesText?: boolean;
}

/** The tools of a generation, by name; those without an `execute` are the application's to answer. */
export type Tools = ReadonlyMap<string, RunnableTool>;

type Hooks = Pick<ToolLoopOptions, 'repairToolCall' | 'approveToolCall'>;

/** What a call came to: for the application, and as text for the model. */
type Outcome =
  | { readonly output: unknown; readonly content: string }
  | { readonly error: string; readonly content: string };

/** A call with its checked arguments and whether the user has to be asked, or with the reason why it cannot run. */
export type ReadCall = { readonly call: ToolCall } & (
  | { readonly tool: RunnableTool; readonly input: unknown; readonly mustAsk: boolean }
  | { readonly error: string }
);

/**
 * Reads the arguments of a step's calls, unless one of the calls cannot be answered here: because its tool has no
 * `execute`, or because there is nobody to ask for an approval. A call of a tool that does not exist can be answered: the
 * model is told so.
 */
export async function readCalls(
  calls: readonly ToolCall[],
  tools: Tools,
  hooks: Hooks,
): Promise<readonly ReadCall[] | undefined> {
  if (calls.some(({ name }) => tools.has(name) && !tools.get(name)?.execute)) return undefined;
  const read = await Promise.all(calls.map((call) => readCall(call, tools, hooks)));
  const isAnswerable =
    hooks.approveToolCall || !read.some((each) => 'tool' in each && each.mustAsk);
  return isAnswerable ? read : undefined;
}

async function readCall(call: ToolCall, tools: Tools, hooks: Hooks): Promise<ReadCall> {
  const tool = tools.get(call.name);
  if (!tool) {
    const names = [...tools.keys()].join(', ');
    return { call, error: `There is no tool named ${call.name}. The tools: ${names}.` };
  }
  try {
    const input = await readInput(call, tool, hooks);
    return { call, tool, input, mustAsk: await needsApproval(tool, input) };
  } catch (error) {
    return { call, error: messageOf(error) };
  }
}

/**
 * Runs the tools of a step side by side, and pushes their events as they end. Stops waiting when the signal aborts,
 * even if a tool ignores it.
 *
 * @returns The results, as messages in the order of the calls; those of calls that were aborted are missing.
 */
export async function runTools(
  calls: readonly ReadCall[],
  hooks: Hooks,
  push: (event: GenerateEvent) => void,
  signal: AbortSignal,
): Promise<(Message | undefined)[]> {
  return Promise.all(
    calls.map(async (read): Promise<Message | undefined> => {
      const { id, name } = read.call;
      const outcome = await unlessAborted(signal, runTool(read, hooks, signal));
      if (!outcome) return undefined;
      const { content, ...rest } = outcome;
      push(
        'error' in rest
          ? { type: 'tool-error', id, name, ...rest }
          : { type: 'tool-result', id, name, ...rest },
      );
      return { role: 'tool', name, content };
    }),
  );
}

/** Runs a tool. Failures, such as a result that JSON cannot hold, go to the model, which may try something else. */
async function runTool(read: ReadCall, hooks: Hooks, signal: AbortSignal): Promise<Outcome> {
  if ('error' in read) return failure(read.error);
  const { call, tool, input, mustAsk } = read;
  try {
    const refusal = mustAsk ? await askUser({ ...call, input }, hooks, signal) : undefined;
    if (refusal !== undefined) return failure(refusal);
    const output = await tool.execute?.(input, { signal, toolCallId: call.id });
    return { output, content: asText(tool.toModelOutput ? tool.toModelOutput(output) : output) };
  } catch (error) {
    return failure(messageOf(error));
  }
}

function asText(output: unknown): string {
  return typeof output === 'string' ? output : (JSON.stringify(output) ?? 'null');
}

/** The arguments of a call; `undefined` if they are no JSON, but should be. */
function inputOf({ input, inputText }: ToolCall, { takesText }: RunnableTool): unknown {
  return takesText ? inputText : input;
}

/** The checked arguments of a call, repaired if the application can. Throws what is wrong with them. */
async function readInput(
  call: ToolCall,
  tool: RunnableTool,
  { repairToolCall }: Hooks,
): Promise<unknown> {
  const { validate = (input) => input } = tool;
  try {
    const input = inputOf(call, tool);
    if (input === undefined) {
      throw new TypeError(`The arguments are not valid JSON: ${call.inputText}`);
    }
    return await validate(input);
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
    const repaired = await repairToolCall?.(call, error);
    if (repaired === undefined) throw error;
    return validate(repaired);
  }
}

/** Why the user does not want a call to run, if so. */
async function askUser(
  call: ToolCall,
  { approveToolCall }: Hooks,
  signal: AbortSignal,
): Promise<string | undefined> {
  const answer = await approveToolCall?.(call, { signal });
  if (answer === true) return undefined;
  return typeof answer === 'string' ? answer : 'The user does not allow this call.';
}

async function needsApproval(
  { needsApproval: needs = false }: ToolDefinition,
  input: unknown,
): Promise<boolean> {
  try {
    return typeof needs === 'function' ? await needs(input) : needs;
  } catch {
    return true; // in doubt, the user is asked
  }
}

function failure(error: string): Outcome {
  return { error, content: JSON.stringify({ error }) };
}
