import { find } from '../element.ts';

/** What the composer can ask the page to do. */
export interface ComposerActions {
  /** Asks the model. */
  readonly ask: (prompt: string) => void;
  /** Stops the current answer. */
  readonly stop: () => void;
}

/** The message field and its buttons: Enter sends, Shift+Enter adds a line, Escape stops. */
export class Composer {
  readonly #form = find('composer', HTMLFormElement);
  readonly #field = find('prompt', HTMLTextAreaElement);
  readonly #send = find('send', HTMLButtonElement);
  readonly #stop = find('stop', HTMLButtonElement);
  readonly #ask: (prompt: string) => void;
  #canAsk = false;
  #isGenerating = false;

  constructor({ ask, stop }: ComposerActions) {
    this.#ask = ask;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener('input', () => this.#show());
    this.#field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    this.#stop.addEventListener('click', () => {
      stop();
      this.focus();
    });
    document.addEventListener('keydown', (event) => {
      const isElsewhere = document.querySelector('dialog[open], [popover]:popover-open') !== null;
      if (event.key === 'Escape' && this.#isGenerating && !isElsewhere) stop();
    });
  }

  /** Shows whether a model is ready for questions and whether it is answering one. */
  show({ canAsk, isGenerating }: { canAsk: boolean; isGenerating: boolean }): void {
    this.#canAsk = canAsk;
    this.#isGenerating = isGenerating;
    this.#show();
  }

  /** Focuses the message field. */
  focus(): void {
    this.#field.focus();
  }

  #submit(): void {
    const prompt = this.#field.value.trim();
    if (prompt === '' || !this.#canAsk || this.#isGenerating) return;
    this.#field.value = '';
    this.#ask(prompt);
  }

  #show(): void {
    const hadFocus = document.activeElement === this.#stop || document.activeElement === this.#send;
    this.#send.disabled = !this.#canAsk || this.#field.value.trim() === '';
    this.#send.hidden = this.#isGenerating;
    this.#stop.hidden = !this.#isGenerating;
    if (hadFocus && document.activeElement === document.body) this.focus();
    // Browsers with `field-sizing: content` do this themselves.
    if (!CSS.supports('field-sizing', 'content')) {
      this.#field.style.height = 'auto';
      this.#field.style.height = `${this.#field.scrollHeight}px`;
    }
  }
}
