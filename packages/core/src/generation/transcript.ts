import type { Message } from '@ossicle/harmony';
import { mustBe } from '../check-values.ts';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
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
  /** A resume() whose first step is not generated yet: `isQueued` settles when it is, or when the call has ended. */
  #waiting: { isBegun: boolean; readonly isQueued: Promise<void> } | undefined;
  /** Generations between two steps, which run tools and hooks. */
  #between = 0;

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

  /** The steps of the last answer's generation that ended before it. */
  get steps(): readonly GenerateResult[] {
    return this.#steps;
  }

  /** Answers a conversation, and runs the tools that the model calls. */
  generate(input: string | readonly Message[], options: GenerateOptions): Generation {
    const messages = messagesOf(input);
    return this.#call(this.#resuming(), options, (given) =>
      this.#generate(this.#generateStep, { messages, steps: [] }, given),
    );
  }

  /** Answers token ids; tools are not run. */
  complete(tokens: Uint32Array, options: GenerateOptions): Generation {
    const own = tokens.slice(); // the caller may reuse its array while the call waits
    return this.#call(this.#resuming(), options, (given) => this.#generateStep(own, given, []));
  }

  /** Goes on with the answer that is unfinished when the generations called before have ended, and runs its tools. */
  resume(options: GenerateOptions): Generation {
    let queued = (): void => undefined;
    const isQueued = new Promise<void>((resolve) => {
      queued = resolve;
    });
    const waiting = { isBegun: false, isQueued };
    const resumed = this.#call(this.#calls, options, (given) => {
      waiting.isBegun = true;
      let next: 'resume' | undefined = 'resume';
      const generateStep: GenerateStep = (messages, step, steps) => {
        const input = next ?? messages;
        next = undefined;
        queued(); // what waits goes on in a microtask, when this step is in the queue
        return this.#generateStep(input, step, steps);
      };
      if (!this.#hasMessages) return generateStep([], given, []);
      return this.#generate(generateStep, { messages: this.#messages, steps: this.#steps }, given);
    });
    resumed.result.then(queued, queued);
    this.#waiting = waiting;
    void isQueued.then(() => {
      if (this.#waiting === waiting) this.#waiting = undefined;
    });
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
    this.#steps = [];
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
    let isBetween = false;
    const setBetween = (value: boolean): void => {
      if (value !== isBetween) this.#between += value ? 1 : -1;
      isBetween = value;
    };
    const generateNext: GenerateStep = (...step) => {
      setBetween(false);
      const generation = generateStep(...step);
      generation.result.then(
        () => setBetween(true),
        () => undefined,
      );
      return generation;
    };
    const generation = generateWithTools(generateNext, begun, options, (results) => {
      this.addResults(results);
      this.#onResults(results);
    });
    const end = (): void => setBetween(false);
    generation.result.then(end, end);
    return generation;
  }

  /**
   * What a generation waits for that is called now: the resume() before it, but not while that one waits for tools, as it may be
   * called by one of them.
   */
  #resuming(): Promise<void> | undefined {
    const waiting = this.#waiting;
    return waiting?.isBegun || this.#between === 0 ? waiting?.isQueued : undefined;
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
