import { type StoredModel, store } from 'ossicle';
import { announce } from './announcer.ts';
import { type CheckpointSource, parseSource } from './checkpoint-source.ts';
import { confirm } from './confirm.ts';
import { element, icon } from './element.ts';
import { formatBytes } from './format.ts';

/** The models kept in this browser: sizes, room, delete, and protection from eviction. */
export class StorageList {
  readonly element: HTMLElement = element('div', { class: 'storage' });
  readonly #load: (checkpoint: CheckpointSource) => void;

  /** @param load called to load a stored model. */
  constructor(load: (checkpoint: CheckpointSource) => void) {
    this.#load = load;
  }

  /** Reads what is stored and shows it. */
  async refresh(): Promise<void> {
    try {
      const [models, { usedBytes, quotaBytes }] = await Promise.all([store.list(), store.usage()]);
      const isPersisted = await navigator.storage.persisted();
      this.element.replaceChildren(
        models.length === 0
          ? element(
              'p',
              { class: 'hint' },
              'Nothing yet. A model that you load is kept here, and opens without a network next time.',
            )
          : element('ul', { class: 'stored' }, ...models.map((model) => this.#row(model))),
        element(
          'p',
          { class: 'hint' },
          `${formatBytes(usedBytes)} used${quotaBytes === undefined ? '' : ` of ${formatBytes(quotaBytes)} that the browser allows`}. `,
          isPersisted
            ? 'The browser will not evict it.'
            : 'The browser may evict it when the disk fills up. ',
          isPersisted ? '' : this.#protectButton(),
        ),
      );
    } catch (error) {
      this.element.replaceChildren(
        element(
          'p',
          { class: 'hint' },
          `The store cannot be read: ${error instanceof Error ? error.message : error}`,
        ),
      );
    }
  }

  #row(stored: StoredModel): HTMLElement {
    const checkpoint = parseSource(stored.id, location.href);
    const name = checkpoint?.name ?? stored.id;
    const day = new Date(stored.usedAt).toLocaleDateString(undefined, { dateStyle: 'medium' });
    return element(
      'li',
      {},
      element(
        'div',
        { class: 'stored-text' },
        element('strong', {}, name),
        element(
          'small',
          {},
          [
            checkpoint?.origin === 'embedded' ? 'comes with the page' : stored.id,
            stored.complete ? `used ${day}` : 'incomplete',
          ].join(' · '),
        ),
      ),
      element('span', { class: 'size' }, formatBytes(stored.sizeBytes)),
      ...(checkpoint
        ? [
            element(
              'button',
              {
                type: 'button',
                class: 'text-button',
                'aria-label': `Load ${name}`,
                onclick: () => this.#load(checkpoint),
              },
              stored.complete ? 'Load' : 'Go on',
            ),
          ]
        : []),
      element(
        'button',
        {
          type: 'button',
          class: 'icon-button',
          'aria-label': `Delete ${name}`,
          title: 'Delete',
          onclick: () => void this.#remove(stored, name),
        },
        icon('delete'),
      ),
    );
  }

  #protectButton(): HTMLElement {
    return element(
      'button',
      {
        type: 'button',
        class: 'link-button',
        onclick: () =>
          void store.persist().then((granted) => {
            announce(granted ? 'Stored models are kept.' : 'The browser declined.');
            return this.refresh();
          }),
      },
      'Ask it not to',
    );
  }

  async #remove(stored: StoredModel, name: string): Promise<void> {
    const isSure = await confirm({
      title: `Delete ${name}?`,
      detail: `${formatBytes(stored.sizeBytes)} are freed. To use the model again, it has to be fetched again.`,
      action: 'Delete',
      isDestructive: true,
    });
    if (!isSure) return;
    await store.remove(stored.id);
    announce(`${name} is deleted.`);
    await this.refresh();
  }
}
