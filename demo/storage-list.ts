import { type StoredModel, store } from 'ossicle';
import { announce } from './announcer.ts';
import { type CheckpointSource, parseSource } from './checkpoint-source.ts';
import { confirm } from './confirm.ts';
import { element, iconButton } from './element.ts';
import { formatBytes } from './format.ts';

const NOTHING_STORED =
  'Nothing yet. A model that you load is kept here, and opens without a network next time.';

/** The models kept in this browser: sizes, room, delete, and protection from eviction. */
export class StorageList {
  readonly element: HTMLElement = element('div', { class: 'storage', tabindex: -1 });
  readonly #load: (checkpoint: CheckpointSource) => void;

  /** @param load called to load a stored model. */
  constructor(load: (checkpoint: CheckpointSource) => void) {
    this.#load = load;
  }

  /** Reads what is stored and shows it. */
  async refresh(): Promise<void> {
    try {
      const [models, usage] = await Promise.all([store.list(), store.usage()]);
      const room = `${formatBytes(usage.usedBytes)} used of ${formatBytes(usage.quotaBytes)} that the browser allows. `;
      this.element.replaceChildren(
        models.length === 0
          ? element('p', { class: 'hint' }, NOTHING_STORED)
          : element('ul', { class: 'stored' }, ...models.map((model) => this.#row(model))),
        usage.persisted
          ? element('p', { class: 'hint' }, room, 'The browser keeps it.')
          : element(
              'p',
              { class: 'hint' },
              room,
              'It may drop models when the disk fills up. ',
              this.#keepButton(),
            ),
      );
    } catch (error) {
      this.#fail('The store cannot be read', error);
    }
  }

  #row(stored: StoredModel): HTMLElement {
    const checkpoint = parseSource(stored.id, location.href);
    const name = checkpoint?.name ?? stored.id;
    const origin = checkpoint?.origin === 'embedded' ? 'comes with the page' : stored.id;
    const state = stored.complete ? '' : `, ${formatBytes(stored.totalBytes)} when complete`;
    const load = checkpoint && {
      type: 'button',
      class: 'text-button',
      'aria-label': `${stored.complete ? 'Load' : 'Go on with'} ${name}`,
      onclick: () => this.#load(checkpoint),
    };
    return element(
      'li',
      {},
      element(
        'div',
        { class: 'stored-text' },
        element('strong', {}, name),
        element('small', {}, origin + state),
      ),
      element('span', { class: 'size' }, formatBytes(stored.sizeBytes)),
      ...(load ? [element('button', load, stored.complete ? 'Load' : 'Go on')] : []),
      iconButton('delete', `Delete ${name}`, () => void this.#remove(stored, name)),
    );
  }

  #keepButton(): HTMLElement {
    const ask = async (): Promise<void> => {
      const isKept = await store.persist();
      announce(isKept ? 'The browser keeps the models.' : 'The browser declined.');
      await this.refresh();
    };
    return element(
      'button',
      { type: 'button', class: 'link-button', onclick: () => void ask() },
      'Ask it not to',
    );
  }

  async #remove(stored: StoredModel, name: string): Promise<void> {
    const isSure = await confirm({
      title: `Delete ${name}?`,
      detail: `This frees ${formatBytes(stored.sizeBytes)}. To use the model again, it has to be fetched again.`,
      action: 'Delete',
      isDestructive: true,
    });
    if (!isSure) return;
    try {
      await store.remove(stored.id);
      announce(`${name} is deleted.`);
      await this.refresh();
    } catch (error) {
      this.#fail(`${name} was not deleted`, error);
    }
    this.element.focus();
  }

  #fail(what: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.element.prepend(
      element('p', { class: 'hint is-error', role: 'alert' }, `${what}: ${why}`),
    );
  }
}
