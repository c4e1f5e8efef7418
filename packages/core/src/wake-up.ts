/** A signal that code can wait for, any number of times. */
export class WakeUp {
  #wake: () => void = () => undefined;
  #next: Promise<void> = this.#create();

  /** Resolves at the next {@link WakeUp.wake}. */
  wait(): Promise<void> {
    return this.#next;
  }

  /** Resolves all pending {@link WakeUp.wait} calls. */
  wake(): void {
    const wake = this.#wake;
    this.#next = this.#create();
    wake();
  }

  #create(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
