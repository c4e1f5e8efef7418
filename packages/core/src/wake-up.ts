/** Lets code wait until other code has news for it. */
export class WakeUp {
  #wake: () => void = () => undefined;
  #next: Promise<void> = this.#create();

  /** Resolves at the next {@link WakeUp.wake}. */
  wait(): Promise<void> {
    return this.#next;
  }

  /** Wakes all that wait. */
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
