import type { StoreUsage } from 'ossicle';
import { announce } from '../announcer.ts';
import { element, icon } from '../element.ts';
import { formatBytes } from '../format.ts';
import { texts } from '../language/texts.ts';
import { TaskLine } from '../task-line.ts';
import { loadLibrary } from './library.ts';
import { type LocalFiles, pickFolder } from './local-files.ts';
import { type RowActions, StoredRow } from './stored-row.ts';

/** The models stored in this browser: actions on each, import, space used, and protection from eviction. */
export class StorageList {
  readonly element: HTMLElement = element('div', { class: 'storage', tabindex: -1 });
  readonly #rows = new Map<string, StoredRow>();
  readonly #list = element('ul', { class: 'stored' });
  readonly #nothing = element('p', { class: 'hint' }, texts.storage.nothing);
  readonly #usage = element('p', { class: 'hint' });
  readonly #import = new TaskLine();
  readonly #actions: RowActions;

  /** @param load called to load a stored model. */
  constructor(load: RowActions['load']) {
    this.#actions = { load, onChange: () => this.refresh() };
    this.element.append(
      this.#list,
      this.#nothing,
      element(
        'button',
        { type: 'button', class: 'button small', onclick: () => void this.#pickImport() },
        icon('folder'),
        texts.storage.import,
      ),
      this.#import.element,
      this.#usage,
    );
  }

  /** Shows what is stored now. */
  async refresh(): Promise<void> {
    this.#list.ariaBusy = 'true';
    try {
      const { store } = await loadLibrary();
      const [models, usage] = await Promise.all([store.list(), store.usage()]);
      const hadFocus = this.element.contains(document.activeElement);
      const known = new Set(models.map(({ id }) => id));
      for (const id of this.#rows.keys()) if (!known.has(id)) this.#rows.delete(id);
      for (const model of models) {
        const row = this.#rows.get(model.id);
        if (row) row.update(model);
        else this.#rows.set(model.id, new StoredRow(model, this.#actions));
      }
      this.#place(models.flatMap(({ id }) => this.#rows.get(id)?.element ?? []));
      this.#list.hidden = models.length === 0;
      this.#nothing.hidden = models.length > 0;
      this.#showUsage(usage);
      if (hadFocus && !this.element.contains(document.activeElement)) this.element.focus();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#import.tell('bad', texts.storage.unreadable(why));
    } finally {
      this.#list.ariaBusy = null;
    }
  }

  /** Leaves the rows alone if they are in place: a row that moves loses a click in progress and the focus. */
  #place(rows: readonly HTMLElement[]): void {
    const { children } = this.#list;
    if (rows.length !== children.length || rows.some((row, index) => row !== children[index]))
      this.#list.replaceChildren(...rows);
  }

  #showUsage({ usedBytes, quotaBytes, persisted }: StoreUsage): void {
    this.#usage.replaceChildren(
      texts.storage.usage(formatBytes(usedBytes), formatBytes(quotaBytes)),
      ...(persisted
        ? [texts.storage.kept]
        : [
            texts.storage.mayDelete,
            element(
              'button',
              { type: 'button', class: 'link-button', onclick: () => void this.#persist() },
              texts.storage.askToKeep,
            ),
          ]),
    );
  }

  async #persist(): Promise<void> {
    const { store } = await loadLibrary();
    const isKept = await store.persist();
    await this.refresh();
    const message = isKept ? texts.storage.willKeep : texts.storage.declined;
    if (isKept) announce(message);
    else this.#import.tell('bad', message);
  }

  async #pickImport(): Promise<void> {
    const files = await pickFolder();
    if (files) await this.#importFiles(files);
  }

  async #importFiles(files: LocalFiles, id?: string): Promise<void> {
    const imported = await this.#import.run(
      texts.storage.importing,
      texts.storage.importFailed,
      async (options) => {
        const { store } = await loadLibrary();
        try {
          return await store.import(files, { ...options, ...(id !== undefined && { id }) });
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
          return error; // neither the folder nor the user has named the model
        }
      },
    );
    if (imported instanceof TypeError) this.#askWhatItIs(files, id);
    else if (imported !== undefined) {
      this.#import.tell('good', texts.storage.imported(imported));
      await this.refresh();
    }
  }

  #askWhatItIs(files: LocalFiles, tried: string | undefined): void {
    const field = element('input', {
      type: 'text',
      'aria-label': texts.storage.sourceOf,
      placeholder: 'owner/name',
      ...{ spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off' },
    });
    const form = element(
      'form',
      { class: 'source-row', id: 'import-name' },
      field,
      element('button', { type: 'submit', class: 'button' }, texts.storage.importButton),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (field.value.trim() !== '') void this.#importFiles(files, field.value.trim());
    });
    this.#import.tell(
      'bad',
      tried === undefined ? texts.storage.unnamed : texts.storage.wrongName(tried),
      form,
    );
    field.focus();
  }
}
