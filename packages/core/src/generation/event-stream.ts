import type { GenerateEvent, GenerateResult, Generation } from '../types/generate.ts';
import { WakeUp } from '../wake-up.ts';
import { checkGenerateOptions } from './check-generate-options.ts';

/** Checks the options, then starts a generation. Whatever is thrown meanwhile rejects the generation. */
export function startGeneration(options: unknown, start: () => Generation): Generation {
  try {
    checkGenerateOptions(options);
    return start();
  } catch (error) {
    return new EventStream(() => Promise.reject(error));
  }
}

/**
 * A generation whose events are pushed as they happen. Each iteration starts at the first event; leaving one before its
 * end stops the generation.
 */
export class EventStream implements Generation {
  readonly result: Promise<GenerateResult>;
  readonly #events: GenerateEvent[] = [];
  readonly #news = new WakeUp();
  readonly #leave = new AbortController();
  #isEnded = false;

  /**
   * Starts a generation.
   *
   * @param run - Pushes the events and returns the result, from which the last event, `finish`, is made. Its `signal`
   * aborts when the caller's signal does, or when an iteration is left.
   * @param signal - The caller's signal.
   */
  constructor(
    run: (push: (event: GenerateEvent) => void, signal: AbortSignal) => Promise<GenerateResult>,
    signal?: AbortSignal,
  ) {
    const either = signal ? AbortSignal.any([signal, this.#leave.signal]) : this.#leave.signal;
    const push = (event: GenerateEvent): void => {
      this.#events.push(event);
      this.#news.wake();
    };
    this.result = run(push, either)
      .then((result) => {
        const { reason, usage, timings } = result;
        push({ type: 'finish', reason, usage, timings });
        return result;
      })
      .finally(() => {
        this.#isEnded = true;
        this.#news.wake();
      });
    this.result.catch(() => undefined); // iterations throw it, too
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerateEvent, void, undefined> {
    try {
      for (let i = 0; ; i++) {
        while (i >= this.#events.length) {
          if (this.#isEnded) {
            await this.result; // throws if the generation failed
            return;
          }
          await this.#news.wait();
        }
        yield this.#events[i] as GenerateEvent;
      }
    } finally {
      this.#leave.abort(); // no effect if the generation has ended
    }
  }
}
