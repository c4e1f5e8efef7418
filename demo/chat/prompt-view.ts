import { copyButton } from '../answer/copy-button.ts';
import type { Turn } from '../chats/chat-record.ts';
import { element, icon, iconButton } from '../element.ts';
import { isKey } from '../keyboard/keys.ts';
import { texts } from '../language/texts.ts';

/** What the view of a question can ask the page to do. */
export interface PromptActions {
  /** Asks the edited question, as another version of the turn. */
  readonly ask: (text: string) => void;
  /** Shows the version before or after this one. */
  readonly showVersion: (by: -1 | 1) => void;
}

/** The user's message, which can be edited and asked again; its versions can be switched. */
export class PromptView {
  readonly element: HTMLElement;
  readonly #turn: Pick<Turn, 'prompt' | 'files'>;
  readonly #actions: PromptActions;
  readonly #versions = element('span', { class: 'versions', hidden: true });

  constructor(turn: Pick<Turn, 'prompt' | 'files'>, actions: PromptActions) {
    this.#turn = turn;
    this.#actions = actions;
    this.element = element('article', { class: 'prompt', 'aria-label': texts.turn.yourMessage });
    this.#showText();
  }

  /** Shows which of how many versions this is, counted from 0. */
  showVersions(index: number, count: number): void {
    const isOnly = count < 2;
    if (this.#versions.hidden !== isOnly) this.#versions.hidden = isOnly;
    const label = texts.turn.version(index + 1, count);
    if (isOnly || this.#versions.textContent === label) return;
    const earlier = iconButton('back', texts.turn.earlier, () => this.#actions.showVersion(-1));
    const later = iconButton('chevron', texts.turn.later, () => this.#actions.showVersion(1));
    earlier.disabled = index === 0;
    later.disabled = index === count - 1;
    this.#versions.replaceChildren(earlier, element('span', {}, label), later);
  }

  #showText(): HTMLButtonElement {
    const { prompt, files } = this.#turn;
    const edit = iconButton('edit', texts.turn.editMessage, () => this.#showEditor());
    this.element.replaceChildren(
      ...files.map(({ name }) =>
        element('span', { class: 'file-chip' }, icon('file'), element('span', {}, name)),
      ),
      ...(prompt === '' ? [] : [element('div', { class: 'bubble', dir: 'auto' }, prompt)]),
      element(
        'div',
        { class: 'message-foot' },
        this.#versions,
        copyButton(texts.turn.copyMessage, () => prompt),
        edit,
      ),
    );
    return edit;
  }

  #showEditor(): void {
    const field = element('textarea', {
      'aria-label': texts.turn.editMessage,
      rows: 2,
      dir: 'auto',
    });
    field.value = this.#turn.prompt;
    const cancel = (): void => this.#showText().focus();
    const form = element(
      'form',
      { class: 'prompt-editor' },
      field,
      element(
        'div',
        { class: 'button-row' },
        element('button', { type: 'button', class: 'button', onclick: cancel }, texts.cancel),
        element('button', { type: 'submit', class: 'button primary' }, texts.turn.askAgain),
      ),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (field.value.trim() !== '') this.#actions.ask(field.value.trim());
    });
    field.addEventListener('keydown', (event) => {
      if (isKey(event, 'Escape')) {
        event.stopPropagation();
        cancel();
      } else if (isKey(event, 'Enter')) {
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
