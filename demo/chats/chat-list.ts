import { announce } from '../announcer.ts';
import { writeDraft, writeDraftFiles } from '../chat/drafts.ts';
import { confirm } from '../confirm.ts';
import { element, find, iconButton } from '../element.ts';
import { formatAgo } from '../format.ts';
import { isKey } from '../keyboard/keys.ts';
import { texts } from '../language/texts.ts';
import { parseChats, toJson, toMarkdown } from './chat-file.ts';
import type { ChatLibrary } from './chat-library.ts';
import { type ChatRecord, contains, titleOf } from './chat-record.ts';

/** What the list can ask the page to do. */
export interface ChatListActions {
  /** The id of the chat that is shown. */
  readonly current: () => string;
  /** Shows a chat. */
  readonly open: (id: string) => void;
}

/** At most this many chats are listed; a search finds the others. */
const MAX_LISTED = 200;

/** The list of chats: search, open, rename, export, import and delete. */
export class ChatList {
  readonly #library: ChatLibrary;
  readonly #actions: ChatListActions;
  readonly #list = element('ul', { class: 'chat-list' });
  readonly #empty = element('p', { class: 'hint' });
  readonly #trouble = element('p', { class: 'hint is-warning', role: 'alert' });
  readonly #search = element('input', {
    ...{ type: 'search', id: 'chat-search', placeholder: texts.chats.search },
    ...{ 'aria-label': texts.chats.search, autocomplete: 'off', dir: 'auto' },
  });
  readonly #foot = element('div', { class: 'chat-list-foot' });
  /** The chat whose actions are unfolded. */
  #unfolded: string | undefined;
  /** Why the last file was not imported; empty if it was. */
  #refused = '';
  /** All that the list shows, as one text. */
  #shown = '';
  #frame = 0;

  constructor(library: ChatLibrary, actions: ChatListActions) {
    this.#library = library;
    this.#actions = actions;
    this.#foot.append(
      textButton(texts.chats.import, () => void this.#pickImport()),
      textButton(texts.chats.exportAll, () =>
        saveFile('ossicle-chats.json', toJson(this.#library.list)),
      ),
    );
    find('chats-body', HTMLElement).append(
      this.#search,
      this.#list,
      this.#empty,
      this.#trouble,
      this.#foot,
    );
    this.#search.addEventListener('input', () => this.#render());
    library.subscribe(() => this.#showSoon());
    this.#render();
  }

  /** Focuses the search field. */
  focusSearch(): void {
    this.#search.focus();
  }

  /** Shows the chats as they are now, unless a name is being typed. */
  show(): void {
    if (!this.#list.querySelector('form')) this.#render();
  }

  #render(): void {
    const { list, trouble } = this.#library;
    const wanted = this.#search.value;
    const found = wanted.trim() === '' ? list : list.filter((chat) => contains(chat, wanted));
    this.#showRows(found.slice(0, MAX_LISTED));
    this.#empty.hidden = found.length > 0;
    this.#empty.textContent = list.length === 0 ? texts.chats.none : texts.chats.noneFound;
    const told = trouble === undefined ? this.#refused : texts.chats.unsaved;
    if (this.#trouble.textContent !== told) this.#trouble.textContent = told;
    this.#trouble.hidden = told === '';
    this.#foot.lastElementChild?.toggleAttribute('disabled', list.length === 0);
  }

  /** Replaces the rows if anything in them has changed: a click that began on one that goes is lost. */
  #showRows(chats: readonly ChatRecord[]): void {
    const shown = JSON.stringify([
      ...[this.#unfolded, this.#actions.current()],
      ...chats.map((chat) => [chat.id, titleOf(chat), formatAgo(chat.changedAt)]),
    ]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = this.#focusKey();
    this.#list.replaceChildren(...chats.map((chat) => this.#row(chat)));
    if (focused) this.#list.querySelector<HTMLElement>(focused)?.focus();
  }

  #showSoon(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.show();
    });
  }

  /** A selector of the button that has the focus, to find it again in the new rows. */
  #focusKey(): string | undefined {
    const focused = document.activeElement;
    if (!(focused instanceof HTMLElement) || !this.#list.contains(focused)) return undefined;
    const { chat } = focused.closest<HTMLElement>('li')?.dataset ?? {};
    const { action } = focused.dataset;
    return `[data-chat="${chat}"] [data-action="${action}"]`;
  }

  #row(chat: ChatRecord): HTMLElement {
    const { id, changedAt } = chat;
    const title = titleOf(chat);
    const isUnfolded = this.#unfolded === id;
    const open = element(
      'button',
      {
        ...{ type: 'button', class: 'chat-open', 'data-action': 'open', dir: 'auto' },
        ...{ title: `${title} · ${formatAgo(changedAt)}` },
        'aria-current': this.#actions.current() === id ? 'true' : undefined,
        onclick: () => {
          this.#actions.open(id);
          this.#render();
        },
      },
      title || texts.chats.untitled,
    );
    const more = iconButton('more', texts.chats.more(title), () => this.#unfold(id));
    more.dataset.action = 'more';
    more.setAttribute('aria-expanded', String(isUnfolded));
    const row = element('li', { 'data-chat': id }, open, more);
    if (isUnfolded) row.append(this.#menu(chat));
    return row;
  }

  #menu(chat: ChatRecord): HTMLElement {
    // The row stays while the chat goes on: its actions take the chat as it is then.
    const withChat = (act: (now: ChatRecord) => unknown) => (): void => {
      const now = this.#library.get(chat.id);
      if (now) void act.call(this, now);
    };
    const file =
      titleOf(chat)
        .replace(/[^\p{L}\p{N}]+/gu, '-')
        .slice(0, 40) || 'chat';
    return element(
      'div',
      { class: 'chat-menu', role: 'group', 'aria-label': texts.chats.more(titleOf(chat)) },
      textButton(texts.chats.rename, withChat(this.#rename), 'rename'),
      textButton(
        texts.chats.exportMarkdown,
        withChat((now) => saveFile(`${file}.md`, toMarkdown(now))),
      ),
      textButton(
        texts.chats.exportJson,
        withChat((now) => saveFile(`${file}.json`, toJson([now]))),
      ),
      textButton(texts.delete, withChat(this.#remove), 'delete'),
    );
  }

  #unfold(id: string): void {
    this.#unfolded = this.#unfolded === id ? undefined : id;
    this.#shown = '';
    this.#render();
  }

  #rename(chat: ChatRecord): void {
    const name = element('input', { type: 'text', 'aria-label': texts.chats.name, dir: 'auto' });
    name.value = titleOf(chat);
    const form = element(
      'form',
      { class: 'chat-rename' },
      name,
      element('button', { type: 'submit', class: 'button small' }, texts.chats.save),
    );
    const end = (): void => {
      this.#unfolded = undefined;
      this.#shown = ''; // the row of the form, too
      this.#render();
      this.#list.querySelector<HTMLElement>(`[data-chat="${chat.id}"] .icon-button`)?.focus();
    };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const title = name.value.trim();
      this.#library.change(chat.id, (before) => ({ ...before, title }));
      end();
    });
    name.addEventListener('keydown', (event) => {
      if (!isKey(event, 'Escape')) return;
      event.stopPropagation();
      event.preventDefault();
      end();
    });
    this.#list.querySelector(`[data-chat="${chat.id}"]`)?.replaceChildren(form);
    name.select();
  }

  async #remove(chat: ChatRecord): Promise<void> {
    const isSure = await confirm({
      title: texts.chats.deleteQuestion(titleOf(chat)),
      detail: texts.chats.deleteDetail,
      action: texts.delete,
      isDestructive: true,
    });
    if (!isSure) return;
    this.#library.remove(chat.id);
    writeDraft(chat.id, '', false);
    void writeDraftFiles(chat.id, []);
    this.#search.focus();
  }

  async #pickImport(): Promise<void> {
    const input = element('input', { type: 'file', accept: '.json,application/json' });
    input.addEventListener('change', () => {
      const [file] = input.files ?? [];
      if (file) void this.import(file);
    });
    input.click();
  }

  /** Adds the chats of an exported file, and opens the first. @returns whether it holds chats. */
  async import(file: File): Promise<boolean> {
    try {
      const chats = parseChats(await file.text());
      this.#refused = '';
      for (const chat of chats) this.#library.add(chat);
      announce(texts.chats.imported(chats.length));
      if (chats[0]) this.#actions.open(chats[0].id);
      return true;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#refused = texts.chats.importFailed(why);
      return false;
    } finally {
      this.#render();
    }
  }
}

function textButton(label: string, onclick: () => void, action = label): HTMLButtonElement {
  return element(
    'button',
    { type: 'button', class: 'text-button', 'data-action': action, onclick },
    label,
  );
}

/** Lets the browser save a text as a file. */
function saveFile(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  element('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
