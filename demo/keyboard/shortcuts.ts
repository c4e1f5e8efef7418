import { element, find, iconButton } from '../element.ts';
import { texts } from '../language/texts.ts';
import { isComposing, isKey } from './keys.ts';

/** What the shortcuts do. */
export interface ShortcutActions {
  readonly newChat: () => void;
  readonly search: () => void;
  readonly toggleChats: () => void;
  readonly focusField: () => void;
  readonly editLast: () => void;
}

interface Shortcut {
  /** The keys, with `Mod` for Ctrl or ⌘. */
  readonly keys: string;
  readonly label: string;
  /** Left out if another view listens to the keys. */
  readonly run?: () => void;
}

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

/** Keyboard shortcuts, and the sheet that lists them. */
export class Shortcuts {
  readonly #dialog = find('shortcuts', HTMLDialogElement);

  constructor({ newChat, search, toggleChats, focusField, editLast }: ShortcutActions) {
    const t = texts.shortcuts;
    const shortcuts: readonly Shortcut[] = [
      { keys: 'Enter', label: t.send },
      { keys: 'Shift+Enter', label: t.newLine },
      { keys: 'Escape', label: t.stop },
      { keys: 'ArrowUp', label: t.editLast },
      { keys: 'Shift+Escape', label: t.focusField, run: focusField },
      { keys: 'Mod+Shift+O', label: t.newChat, run: newChat },
      { keys: 'Mod+K', label: t.search, run: search },
      { keys: 'Mod+Shift+S', label: t.toggleChats, run: toggleChats },
      { keys: 'Mod+/', label: t.open, run: () => this.open() },
    ];
    this.#dialog.append(
      element(
        'div',
        { class: 'panel-head' },
        element('h2', { id: 'shortcuts-title' }, t.title),
        iconButton('close', texts.close, () => this.#dialog.close()),
      ),
      element(
        'dl',
        { class: 'shortcut-list' },
        ...shortcuts.flatMap(({ keys, label }) => [
          element('dt', {}, label),
          element('dd', {}, ...namesOf(keys).map((key) => element('kbd', {}, key))),
        ]),
      ),
    );
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    find('shortcuts-button', HTMLButtonElement).addEventListener('click', () => this.open());
    document.addEventListener('keydown', (event) => {
      const shortcut = shortcuts.find(({ keys, run }) => run && matches(event, keys));
      if (shortcut === undefined || isComposing(event)) return;
      const isElsewhere = document.querySelector('dialog[open]') !== null;
      if (isElsewhere) return;
      event.preventDefault();
      shortcut.run?.();
    });
    find('prompt', HTMLTextAreaElement).addEventListener('keydown', (event) => {
      const isEmpty =
        event.currentTarget instanceof HTMLTextAreaElement && event.currentTarget.value === '';
      if (!isKey(event, 'ArrowUp') || !isEmpty) return;
      event.preventDefault();
      editLast();
    });
  }

  /** Opens the sheet. */
  open(): void {
    if (!this.#dialog.open) this.#dialog.showModal();
  }
}

function matches(event: KeyboardEvent, keys: string): boolean {
  const parts = keys.split('+');
  const key = parts.at(-1) ?? '';
  // With Shift, some layouts give another character; `/` itself needs Shift on others.
  return (
    event.key.toLowerCase() === key.toLowerCase() &&
    (isMac ? event.metaKey : event.ctrlKey) === parts.includes('Mod') &&
    (key === '/' || event.shiftKey === parts.includes('Shift')) &&
    !event.altKey
  );
}

function namesOf(keys: string): readonly string[] {
  const { names } = texts.shortcuts;
  const mod = isMac ? '⌘' : names.Ctrl;
  return keys
    .split('+')
    .map((key) =>
      key === 'Mod' ? mod : ((names as Readonly<Record<string, string>>)[key] ?? key),
    );
}
