import type { GenerateEvent, GenerateResult, Generation } from '../types/generate.ts';

/**
 * A generation whose events are pushed as they happen. Each iteration sees all events from the first on; leaving one
 * before its end stops the generation.
 */
export class EventStream implements Generation {
  readonly result: Promise<GenerateResult>;
  readonly #events: GenerateEvent[] = [];
  readonly #stop: () => void;
  #isEnded = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;
  #change: Promise<void>;

  /**
   * Starts a generation.
   *
   * @param run - Makes the events, and the result. Its `signal` aborts when the caller's does, or when an iteration is left.
   * @param signal - The caller's.
   */
  constructor(
    run: (push: (event: GenerateEvent) => void, signal: AbortSignal) => Promise<GenerateResult>,
    signal?: AbortSignal,
  ) {
    const stopped = new AbortController();
    this.#stop = () => stopped.abort();
    this.#change = this.#nextChange();
    const either = signal ? AbortSignal.any([signal, stopped.signal]) : stopped.signal;
    const push = (event: GenerateEvent): void => {
      this.#events.push(event);
      this.#notify();
    };
    this.result = run(push, either).then(
      (result) => {
        this.#isEnded = true;
        this.#notify();
        return result;
      },
      (error: unknown) => {
        this.#failure = { error };
        this.#notify();
        throw error;
      },
    );
    this.result.catch(() => undefined); // those who iterate hear of it there
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerateEvent, void, undefined> {
    try {
      for (let i = 0; ; i++) {
        while (i >= this.#events.length) {
          if (this.#failure) throw this.#failure.error;
          if (this.#isEnded) return;
          await this.#change;
        }
        yield this.#events[i] as GenerateEvent;
      }
    } finally {
      this.#stop(); // of no effect on a generation that has ended
    }
  }

  #notify(): void {
    const wake = this.#wake;
    this.#change = this.#nextChange();
    wake();
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
