import { element, iconButton } from '../element.ts';
import { copyButton } from './copy-button.ts';

/** The user's message, which can be edited and asked again. */
export class PromptView {
  readonly element: HTMLElement;
  readonly #text: string;
  readonly #ask: (text: string) => void;

  /** @param ask called with the edited text. */
  constructor(text: string, ask: (text: string) => void) {
    this.#text = text;
    this.#ask = ask;
    this.element = element('article', { class: 'prompt', 'aria-label': 'Your message' });
    this.#showText();
  }

  #showText(): HTMLButtonElement {
    const edit = iconButton('edit', 'Edit message', () => this.#showEditor());
    this.element.replaceChildren(
      element('div', { class: 'bubble' }, this.#text),
      element(
        'div',
        { class: 'message-foot' },
        copyButton('Copy message', () => this.#text),
        edit,
      ),
    );
    return edit;
  }

  #showEditor(): void {
    const field = element('textarea', { 'aria-label': 'Edit message', rows: 2 });
    field.value = this.#text;
    const cancel = (): void => this.#showText().focus();
    const form = element(
      'form',
      { class: 'prompt-editor' },
      field,
      element(
        'div',
        { class: 'button-row' },
        element('button', { type: 'button', class: 'button', onclick: cancel }, 'Cancel'),
        element('button', { type: 'submit', class: 'button primary' }, 'Ask again'),
      ),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (field.value.trim() !== '') this.#ask(field.value.trim());
    });
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        cancel();
      } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    this.element.replaceChildren(form);
    field.focus();
    this.element.scrollIntoView({ block: 'nearest' });
    field.setSelectionRange(field.value.length, field.value.length);
  }
}
