import { find } from '../element.ts';
import { readLocal, storageKey, writeLocal } from '../storage-key.ts';

const HIDDEN_KEY = 'chats-hidden';
/** From this width on, the chats stand beside the conversation; below it, they open above it. */
const WIDE = matchMedia('(min-width: 60rem)');

/** The place of the chats: a column if there is room, and a popover otherwise. */
export class ChatsPanel {
  readonly #panel = find('chats', HTMLElement);
  readonly #button = find('chats-button', HTMLButtonElement);

  constructor() {
    this.#button.addEventListener('click', () => this.toggle());
    this.#panel.addEventListener('toggle', () => this.#tell());
    WIDE.addEventListener('change', () => this.#place());
    this.#place();
  }

  /** Shows or hides the chats. */
  toggle(isShown: boolean = !this.#isShown): void {
    if (isShown === this.#isShown) return;
    if (!WIDE.matches && isShown) this.#panel.showPopover({ source: this.#button });
    else if (!WIDE.matches) this.#panel.hidePopover();
    else {
      this.#panel.hidden = !isShown;
      writeLocal(storageKey(HIDDEN_KEY), isShown ? '' : 'yes');
    }
    this.#tell();
  }

  /** Makes way for a chat that was opened. */
  chosen(): void {
    if (!WIDE.matches) this.toggle(false);
  }

  get #isShown(): boolean {
    return WIDE.matches ? !this.#panel.hidden : this.#panel.matches(':popover-open');
  }

  #place(): void {
    this.#panel.popover = WIDE.matches ? null : 'auto';
    this.#panel.hidden = WIDE.matches && readLocal(storageKey(HIDDEN_KEY)) !== undefined;
    this.#tell();
  }

  #tell(): void {
    this.#button.setAttribute('aria-expanded', String(this.#isShown));
  }
}
