import { element, icon } from '../element.ts';
import { formatSeconds } from '../format.ts';

const TICK_MS = 250;

/** The model's reasoning: open while it thinks, then folded up unless the user has toggled it. */
export class ReasoningPane {
  readonly element: HTMLDetailsElement;
  readonly #label = element('span', { class: 'reasoning-label' }, 'Thinking');
  readonly #body = element('div', { class: 'reasoning-text', tabindex: 0 });
  readonly #startedMs = performance.now();
  readonly #ticker: ReturnType<typeof setInterval>;
  #isTouched = false;

  constructor() {
    this.#body.setAttribute('role', 'region');
    this.#body.setAttribute('aria-label', 'Reasoning');
    this.element = element(
      'details',
      { class: 'reasoning is-thinking', open: true },
      element('summary', { onclick: () => this.#touch() }, icon('chevron'), this.#label),
      this.#body,
    );
    this.#ticker = setInterval(() => this.#tell('Thinking for'), TICK_MS);
  }

  /** Shows the reasoning so far. */
  render(text: string): void {
    this.#body.textContent = text;
    this.#body.scrollTop = this.#body.scrollHeight;
  }

  /** Ends the thinking. */
  finish(): void {
    if (!this.element.classList.contains('is-thinking')) return;
    clearInterval(this.#ticker);
    this.element.classList.remove('is-thinking');
    this.#tell('Thought for');
    if (!this.#isTouched && !this.element.contains(document.activeElement))
      this.element.open = false;
  }

  #touch(): void {
    this.#isTouched = true;
  }

  #tell(verb: string): void {
    this.#label.textContent = `${verb} ${formatSeconds((performance.now() - this.#startedMs) / 1000)}`;
  }
}
