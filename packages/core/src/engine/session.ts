import type { Message } from '@ossicle/harmony';
import type { StepInput } from '../generation/transcript.ts';
import type { GenerateOptions, GenerateResult, Generation } from '../types/generate.ts';
import type { Write } from './conversation/saved-conversation.ts';

/** One conversation: its tokens, with their keys and values on the GPU. Calls run one at a time. */
export interface Session {
  /** All tokens, evaluated and generated. */
  readonly tokens: readonly number[];
  /**
   * Appends tokens and evaluates them.
   *
   * @returns The logits after the last token, [vocabulary], or after each token, [tokens, vocabulary].
   * @throws {@link OssicleError} `context-overflow`, `device-lost`, `disposed`, … RangeError if there are no tokens, or
   * if one is not in the vocabulary.
   */
  evaluate(
    tokens: ArrayLike<number>,
    options?: { readonly logits?: 'last' | 'all' },
  ): Promise<Float32Array>;
  /**
   * Generates an answer. The prompt replaces the session's tokens; the keys and values of the prefix that they share
   * are reused. For messages, tools that have an `execute` are run, and the model goes on with their results.
   *
   * @param input - A user's message, a conversation, or the token ids of a prompt. The answer to token ids is read as
   * Harmony if the checkpoint has a Harmony tokenizer; otherwise, tokens are generated up to `maxTokens`. It is kept to
   * well-formed headers only if the options have `tools`, `builtInTools`, `toolChoice`, `responseFormat` or
   * `reasoningBudget`. Tools are not run. The generation rejects with TypeError if an option is for messages only, such as `instructions`.
   */
  generate(input: string | readonly Message[] | Uint32Array, options?: GenerateOptions): Generation;
  /**
   * The conversation of the last prompt, with its answer unless that is unfinished. Empty if the prompt was token ids.
   */
  readonly messages: readonly Message[];
  /**
   * Appends the results of tools to `messages` if those end in calls, so that they are saved with the session. `generate()`
   * appends those of the tools that it runs.
   */
  addResults(results: readonly Message[]): void;
  /** Whether the last answer was cut short: by an abort, an error, the end of its tokens, or the end of the program. */
  readonly isUnfinished: boolean;
  /** How many tokens had keys and values when the session was created: by {@link Session.fork} or by opening a saved one. */
  readonly restoredTokens: number;
  /** The steps of the last answer's generation that ended before it. */
  readonly steps: readonly GenerateResult[];
  /**
   * Goes on with the answer that was cut short, as if it had not been: events begin with what its unfinished step had generated,
   * and options such as `maxTokens`, `reasoningBudget` and `stopWhen` apply to all of it. The result also has the text, the
   * calls and the counts of the steps that ended before; its messages follow those of the session. Waits for the generations that
   * were called before, so do not await it in a tool or a hook of the same session.
   *
   * @param options - Those of the generation that was cut short; after the reason `length`, with more `maxTokens`. The
   * generation rejects with RangeError if no answer is unfinished.
   */
  resume(options?: GenerateOptions): Generation;
  /**
   * Generates one step of a generation whose tools are run elsewhere, and whose options have been checked.
   *
   * @param input - `resume` to go on with the unfinished answer.
   * @param steps - Those that have ended before.
   */
  generateStep(
    input: StepInput,
    options: GenerateOptions,
    steps: readonly GenerateResult[],
  ): Generation;
  /**
   * Creates a session with the same tokens. Their keys and values are copied; if there is no memory for them, they will be
   * evaluated again.
   *
   * @param messages - How many of the messages the new session has, without an unfinished answer. Default: all, with the
   * unfinished answer.
   * @throws RangeError if the session has fewer messages.
   */
  fork(messages?: number): Promise<Session>;
  /**
   * Writes the session, so that `openSession()` of an engine can restore it. The session stays as it is. While an answer is
   * generated, waits for the next token, and writes what there is.
   *
   * @param write - Takes the next bytes; waited for.
   * @throws {@link OssicleError} `device-lost`, `disposed`, and what `write` throws.
   */
  save(write: Write): Promise<void>;
  /** Releases the conversation's memory. Calls in progress reject with `disposed`. */
  dispose(): void;
}
