import { type StoredModel, store, type VerifyResult } from 'ossicle';
import { confirm } from '../confirm.ts';
import { element, iconButton } from '../element.ts';
import { formatAgo, formatBytes, formatBytesOf } from '../format.ts';
import { TaskLine } from '../task-line.ts';
import type { CheckpointSource } from './checkpoint-source.ts';
import { canPickTarget, pickTarget } from './local-files.ts';
import { checkpointOf } from './stored-checkpoint.ts';

/** What a row can ask the page to do. */
export interface RowActions {
  /** Loads a stored model, downloading what is missing. */
  readonly load: (checkpoint: CheckpointSource) => void;
  /** Called when what is stored has changed. */
  readonly onChange: () => Promise<void>;
}

/** A stored model: its size, state and actions. */
export class StoredRow {
  readonly element: HTMLElement = element('li');
  readonly #actions: RowActions;
  readonly #text = element('div', { class: 'stored-text' });
  readonly #buttons = element('div', { class: 'stored-actions' });
  readonly #task = new TaskLine();
  #stored: StoredModel;
  #isShownComplete: boolean | undefined;

  constructor(stored: StoredModel, actions: RowActions) {
    this.#stored = stored;
    this.#actions = actions;
    this.element.append(this.#text, this.#buttons, this.#task.element);
    this.update(stored);
  }

  /** Shows what is stored now. */
  update(stored: StoredModel): void {
    this.#stored = stored;
    const { sizeBytes, totalBytes, complete, usedAt, id } = stored;
    const origin = this.#checkpoint?.origin === 'embedded' ? 'Comes with the page' : id;
    this.#text.replaceChildren(
      element(
        'div',
        { class: 'stored-head' },
        element('strong', {}, this.#name),
        element(
          'span',
          { class: 'size' },
          complete ? formatBytes(sizeBytes) : `${formatBytesOf(sizeBytes, totalBytes)} downloaded`,
        ),
      ),
      element('small', {}, `${origin} · used ${formatAgo(usedAt)}`),
      ...(complete
        ? []
        : [
            element('progress', {
              max: 1,
              value: totalBytes > 0 ? sizeBytes / totalBytes : 0,
              'aria-label': 'Downloaded',
            }),
          ]),
    );
    this.#showButtons();
  }

  get #checkpoint(): CheckpointSource | undefined {
    return checkpointOf(this.#stored);
  }

  get #name(): string {
    return this.#checkpoint?.name ?? this.#stored.id;
  }

  /** Replaces the buttons only if they change: one of them may have the focus. */
  #showButtons(): void {
    const { complete } = this.#stored;
    if (complete === this.#isShownComplete) return;
    this.#isShownComplete = complete;
    const checkpoint = this.#checkpoint;
    const button = (label: string, onclick: () => void): HTMLElement =>
      element(
        'button',
        {
          type: 'button',
          class: 'text-button',
          'aria-label': `${label} ${this.#name}`,
          onclick: () => this.#task.isBusy || onclick(),
        },
        label,
      );
    this.#buttons.replaceChildren(
      ...(checkpoint
        ? [button(complete ? 'Load' : 'Resume', () => this.#actions.load(checkpoint))]
        : []),
      button('Verify', () => void this.#verify()),
      ...(complete && canPickTarget ? [button('Export', () => void this.#export())] : []),
      element('span', { class: 'spacer' }),
      iconButton('delete', `Delete ${this.#name}`, () => void this.#remove()),
    );
  }

  async #verify(): Promise<void> {
    const result = await this.#task.run('Verifying', 'It could not be verified', (options) =>
      store.verify(this.#stored.id, options),
    );
    if (result?.isIntact)
      this.#task.tell(
        'good',
        `Intact: ${formatBytes(result.checkedBytes)} read, every byte as downloaded.`,
      );
    else if (result) this.#tellDamage(result);
    await this.#actions.onChange();
  }

  #tellDamage({ damaged }: VerifyResult): void {
    const checkpoint = this.#checkpoint;
    const bytes = damaged.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const paths = [...new Set(damaged.map(({ path }) => path))];
    const heal = (): void => {
      this.#task.clear();
      if (checkpoint) this.#actions.load(checkpoint);
    };
    this.#task.tell(
      'bad',
      `Damaged: ${formatBytes(bytes)} in ${paths.join(', ')}. Only these parts need to be downloaded again.`,
      ...(checkpoint
        ? [
            element(
              'button',
              { type: 'button', class: 'text-button', onclick: heal },
              `Download ${formatBytes(bytes)} again`,
            ),
          ]
        : []),
    );
  }

  async #export(): Promise<void> {
    const name = this.#name.replace(/[^\w.-]+/g, '-');
    const picked = await pickTarget();
    if (!picked) return;
    const isDone = await this.#task.run('Exporting', 'Export failed', async (options) => {
      const folder = await picked.getDirectoryHandle(name, { create: true });
      await store.export(this.#stored.id, folder, options);
      return true;
    });
    if (isDone) this.#task.tell('good', `Exported to the folder ${picked.name}/${name}.`);
  }

  async #remove(): Promise<void> {
    const { id, sizeBytes } = this.#stored;
    const isSure = await confirm({
      title: `Delete ${this.#name}?`,
      detail: `This frees ${formatBytes(sizeBytes)}. To use the model again, you will need to download it again.`,
      action: 'Delete',
      isDestructive: true,
    });
    if (!isSure) return;
    await this.#task.run('Deleting', `${this.#name} could not be deleted`, () => store.remove(id));
    await this.#actions.onChange();
  }
}
