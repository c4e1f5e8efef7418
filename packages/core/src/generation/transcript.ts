import type { GenerateOptions, GenerateResult, Generation, Message } from '../types/generate.ts';
import { generateWithTools, mustCall } from './tool-loop.ts';

/** Generates one step of a session. @param input - `resume` to go on with its unfinished answer. */
export type GenerateStep = (
  input: readonly Message[] | 'resume',
  options: GenerateOptions,
) => Generation;

/** The conversation of a session, in which it answers step by step. */
export class Transcript {
  readonly #generateStep: GenerateStep;
  readonly #onResults: (results: readonly Message[]) => void;
  #messages: readonly Message[];
  /** The messages that the last resumed answer follows. */
  #resumed: readonly Message[] = [];
  #isUnfinished: boolean;
  #hasMessages: boolean;

  /**
   * @param generateStep - Calls {@link Transcript.begin} and {@link Transcript.end}.
   * @param start - What the session begins with. Default: nothing.
   * @param onResults - Takes the results of tools that the transcript has taken, before the application hears of the
   * step's end.
   */
  constructor(
    generateStep: GenerateStep,
    start?: { readonly messages: readonly Message[]; readonly isUnfinished: boolean },
    onResults: (results: readonly Message[]) => void = () => undefined,
  ) {
    this.#generateStep = generateStep;
    this.#onResults = onResults;
    this.#messages = start?.messages ?? [];
    this.#isUnfinished = start?.isUnfinished ?? false;
    this.#hasMessages = this.#messages.length > 0;
  }

  /** The messages of the last prompt, with the answer unless that is unfinished; none if the prompt was token ids. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** Whether the last prompt was messages, not token ids. */
  get hasMessages(): boolean {
    return this.#hasMessages;
  }

  /** Whether the last answer was cut short. */
  get isUnfinished(): boolean {
    return this.#isUnfinished;
  }

  /** Answers a conversation, and runs the tools that the model calls. */
  generate(input: string | readonly Message[], options: GenerateOptions): Generation {
    return generateWithTools(this.#generateStep, input, options, (results) =>
      this.#takeResults(results),
    );
  }

  /** Goes on with the unfinished answer, and runs the tools that the model calls. */
  resume(options: GenerateOptions): Generation {
    if (!this.#hasMessages) return this.#generateStep('resume', options);
    // A tool that must be called has been if the answer follows its result.
    const isCalled = this.#messages.at(-1)?.role === 'tool' && mustCall(options);
    const own = isCalled ? { ...options, toolChoice: 'auto' as const } : options;
    let next: 'resume' | undefined = 'resume';
    const generateStep: GenerateStep = (messages, step) => {
      const input = next ?? messages;
      next = undefined;
      return this.#generateStep(input, step);
    };
    this.#resumed = this.#messages; // others if an earlier generation has yet to begin
    return generateWithTools(
      generateStep,
      () => this.#resumed,
      own,
      (results) => this.#takeResults(results),
    );
  }

  /** An answer begins. @param input - Its prompt: messages, token ids, or `resume`. */
  begin(input: readonly Message[] | Uint32Array | 'resume'): void {
    this.#isUnfinished = true;
    if (input === 'resume') {
      this.#resumed = this.#messages;
      return;
    }
    this.#hasMessages = !(input instanceof Uint32Array);
    this.#messages = input instanceof Uint32Array ? [] : [...input];
  }

  /** The answer ends; it stays unfinished if it was cut short. */
  end({ reason, messages }: GenerateResult): void {
    if (reason === 'aborted' || reason === 'length') return;
    this.#isUnfinished = false;
    if (this.#hasMessages) this.#messages = [...this.#messages, ...messages];
  }

  /** Forgets everything. */
  clear(): void {
    this.#messages = [];
    this.#hasMessages = false;
    this.#isUnfinished = false;
  }

  /** Appends the results of tools if the messages end in calls that have been made. */
  addResults(results: readonly Message[]): void {
    const isCall = !this.#isUnfinished && this.#messages.at(-1)?.recipient !== undefined;
    if (isCall) this.#messages = [...this.#messages, ...results];
  }

  #takeResults(results: readonly Message[]): void {
    this.addResults(results);
    this.#onResults(results);
  }
}
