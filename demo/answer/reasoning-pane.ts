import { element, icon } from '../element.ts';
import { formatSeconds } from '../format.ts';
import { texts } from '../language/texts.ts';

const TICK_MS = 250;

/** The model's reasoning: open while it thinks, then folded up unless the user has toggled it. */
export class ReasoningPane {
  readonly element: HTMLDetailsElement;
  readonly #label = element('span', { class: 'reasoning-label' });
  readonly #body = element('div', { class: 'reasoning-text', tabindex: 0, dir: 'auto' });
  #ticker: ReturnType<typeof setInterval> | undefined;
  #isTouched = false;

  /** @param isThinking whether the model has just begun. */
  constructor(isThinking: boolean) {
    this.#body.setAttribute('role', 'group');
    this.#body.setAttribute('aria-label', texts.turn.reasoning);
    this.element = element(
      'details',
      { class: 'reasoning', open: isThinking },
      element('summary', { onclick: () => this.#touch() }, icon('chevron'), this.#label),
      this.#body,
    );
    if (!isThinking) return;
    this.element.classList.add('is-thinking');
    this.#label.textContent = texts.turn.thinking;
    const startedMs = performance.now();
    this.#ticker = setInterval(() => {
      const seconds = (performance.now() - startedMs) / 1000;
      this.#label.textContent = texts.turn.thinkingFor(formatSeconds(seconds));
    }, TICK_MS);
  }

  /** Shows the reasoning so far. */
  render(text: string): void {
    const shown = this.#body.textContent;
    if (shown === text) return;
    // Only the tail is new: a node for all of it would be laid out anew.
    if (text.startsWith(shown)) this.#body.append(text.slice(shown.length));
    else this.#body.textContent = text;
    this.#body.scrollTop = this.#body.scrollHeight;
  }

  /** Shows how long the finished reasoning took. */
  finish(ms: number): void {
    this.#label.textContent = texts.turn.thoughtFor(formatSeconds(ms / 1000));
    if (this.#ticker === undefined) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    this.element.classList.remove('is-thinking');
    if (!this.#isTouched && !this.element.contains(document.activeElement))
      this.element.open = false;
  }

  #touch(): void {
    this.#isTouched = true;
  }
}
