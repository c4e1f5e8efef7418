import { mustBe } from '../check-values.ts';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
  Message,
  StepState,
} from '../types/generate.ts';
import { EventStream } from './event-stream.ts';
import { generateWithTools } from './tool-loop.ts';
import { unlessAborted } from './unless-aborted.ts';

/** What a step answers: a conversation, token ids, or `resume` to go on with the session's unfinished answer. */
export type StepInput = readonly Message[] | Uint32Array | 'resume';

/** Generates one step of a session. @param steps - Those of the same generation that have ended before. */
export type GenerateStep = (
  input: StepInput,
  options: GenerateOptions,
  steps: readonly GenerateResult[],
) => Generation;

/** What a session begins with. */
interface TranscriptStart {
  readonly messages: readonly Message[];
  readonly isUnfinished: boolean;
  readonly steps: readonly GenerateResult[];
}

const NEW: TranscriptStart = { messages: [], isUnfinished: false, steps: [] };

/** The conversation of a session, in which it answers step by step. */
export class Transcript {
  readonly #generateStep: GenerateStep;
  readonly #onResults: (results: readonly Message[]) => void;
  #messages: readonly Message[];
  #isUnfinished: boolean;
  #steps: readonly GenerateResult[];
  #hasMessages: boolean;
  /** Settles when the generations that were called so far have ended. */
  #calls: Promise<unknown> = Promise.resolve();
  /** Settles when a resume() has ended that waits for those called before it. */
  #waiting: Promise<unknown> | undefined;

  /**
   * @param generateStep - Calls {@link Transcript.begin} and {@link Transcript.end}.
   * @param start - Default: nothing.
   * @param onResults - Takes the results of tools that the transcript has taken, before the application hears of the
   * step's end.
   */
  constructor(
    generateStep: GenerateStep,
    start: TranscriptStart = NEW,
    onResults: (results: readonly Message[]) => void = () => undefined,
  ) {
    this.#generateStep = generateStep;
    this.#onResults = onResults;
    this.#messages = start.messages;
    this.#isUnfinished = start.isUnfinished;
    this.#steps = start.steps;
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

  /** The steps of its generation that ended before the last answer. */
  get steps(): readonly GenerateResult[] {
    return this.#steps;
  }

  /** Answers a conversation, and runs the tools that the model calls. */
  generate(input: string | readonly Message[], options: GenerateOptions): Generation {
    const messages = messagesOf(input);
    return this.#call(this.#waiting, options, (given) =>
      this.#generate(this.#generateStep, { messages, steps: [] }, given),
    );
  }

  /** Answers token ids; tools are not run. */
  complete(tokens: Uint32Array, options: GenerateOptions): Generation {
    const own = tokens.slice(); // the caller may reuse its array while the call waits
    return this.#call(this.#waiting, options, (given) => this.#generateStep(own, given, []));
  }

  /** Goes on with the answer that is unfinished when the generations called before have ended, and runs its tools. */
  resume(options: GenerateOptions): Generation {
    const resumed = this.#call(this.#calls, options, (given) => {
      if (this.#waiting === ended) this.#waiting = undefined;
      if (!this.#hasMessages) return this.#generateStep('resume', given, []);
      let next: 'resume' | undefined = 'resume';
      const generateStep: GenerateStep = (messages, step, steps) => {
        const input = next ?? messages;
        next = undefined;
        return this.#generateStep(input, step, steps);
      };
      return this.#generate(generateStep, { messages: this.#messages, steps: this.#steps }, given);
    });
    const ended = Promise.allSettled([resumed.result]);
    this.#waiting = ended;
    return resumed;
  }

  /** An answer begins. @param steps - Those of the same generation that have ended before. */
  begin(input: StepInput, steps: readonly GenerateResult[]): void {
    this.#isUnfinished = true;
    this.#steps = steps;
    if (input === 'resume') return;
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

  #generate(generateStep: GenerateStep, begun: StepState, options: GenerateOptions): Generation {
    return generateWithTools(generateStep, begun, options, (results) => {
      this.addResults(results);
      this.#onResults(results);
    });
  }

  /** Starts a generation; not before a promise has settled, if one is given, or the signal is aborted. */
  #call(
    before: Promise<unknown> | undefined,
    options: GenerateOptions,
    start: (options: GenerateOptions) => Generation,
  ): Generation {
    const waitAndStart = async (
      push: (event: GenerateEvent) => void,
      signal: AbortSignal,
    ): Promise<GenerateResult> => {
      await unlessAborted(signal, before);
      const generation = start({ ...options, signal });
      for await (const event of generation) if (event.type !== 'finish') push(event);
      return generation.result;
    };
    const generation = before ? new EventStream(waitAndStart, options.signal) : start(options);
    this.#calls = Promise.allSettled([this.#calls, generation.result]).then(() => undefined);
    return generation;
  }
}

/** The conversation, copied: the application may append to its array during the generation. */
function messagesOf(input: string | readonly Message[]): readonly Message[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }];
  if (!Array.isArray(input)) throw mustBe('The input', 'a string or messages', input);
  return input.slice();
}
