import type { StoredModel, VerifyResult } from 'ossicle';
import { confirm } from '../confirm.ts';
import { element, iconButton } from '../element.ts';
import { formatAgo, formatBytes, formatBytesOf } from '../format.ts';
import { texts } from '../language/texts.ts';
import { TaskLine } from '../task-line.ts';
import type { CheckpointSource } from './checkpoint-source.ts';
import { loadLibrary } from './library.ts';
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
    const origin = this.#checkpoint?.origin === 'embedded' ? texts.storage.embedded : id;
    this.#text.replaceChildren(
      element(
        'div',
        { class: 'stored-head' },
        element('strong', {}, this.#name),
        element(
          'span',
          { class: 'size' },
          complete
            ? formatBytes(sizeBytes)
            : texts.load.downloaded(formatBytesOf(sizeBytes, totalBytes)),
        ),
      ),
      element('small', {}, texts.storage.used(origin, formatAgo(usedAt))),
      ...(complete
        ? []
        : [
            element('progress', {
              max: 1,
              value: totalBytes > 0 ? sizeBytes / totalBytes : 0,
              'aria-label': texts.load.downloadedShare,
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
          'aria-label': texts.storage.of(label, this.#name),
          onclick: () => this.#task.isBusy || onclick(),
        },
        label,
      );
    this.#buttons.replaceChildren(
      ...(checkpoint
        ? [
            button(complete ? texts.storage.load : texts.storage.resume, () =>
              this.#actions.load(checkpoint),
            ),
          ]
        : []),
      button(texts.storage.verify, () => void this.#verify()),
      ...(complete && canPickTarget
        ? [button(texts.storage.export, () => void this.#export())]
        : []),
      element('span', { class: 'spacer' }),
      iconButton('delete', texts.storage.of(texts.delete, this.#name), () => void this.#remove()),
    );
  }

  async #verify(): Promise<void> {
    const result = await this.#task.run(
      texts.storage.verifying,
      texts.storage.verifyFailed,
      async (options) => (await loadLibrary()).store.verify(this.#stored.id, options),
    );
    if (result?.isIntact)
      this.#task.tell('good', texts.storage.intact(formatBytes(result.checkedBytes)));
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
      texts.storage.damaged(formatBytes(bytes), paths.join(', ')),
      ...(checkpoint
        ? [
            element(
              'button',
              { type: 'button', class: 'text-button', onclick: heal },
              texts.storage.downloadAgain(formatBytes(bytes)),
            ),
          ]
        : []),
    );
  }

  async #export(): Promise<void> {
    const name = this.#name.replace(/[^\w.-]+/g, '-');
    const picked = await pickTarget();
    if (!picked) return;
    const isDone = await this.#task.run(
      texts.storage.exporting,
      texts.storage.exportFailed,
      async (options) => {
        const folder = await picked.getDirectoryHandle(name, { create: true });
        await (await loadLibrary()).store.export(this.#stored.id, folder, options);
        return true;
      },
    );
    if (isDone) this.#task.tell('good', texts.storage.exported(`${picked.name}/${name}`));
  }

  async #remove(): Promise<void> {
    const { id, sizeBytes } = this.#stored;
    const isSure = await confirm({
      title: texts.storage.deleteQuestion(this.#name),
      detail: texts.storage.deleteDetail(formatBytes(sizeBytes)),
      action: texts.delete,
      isDestructive: true,
    });
    if (!isSure) return;
    await this.#task.run(texts.storage.deleting, texts.storage.deleteFailed(this.#name), async () =>
      (await loadLibrary()).store.remove(id),
    );
    await this.#actions.onChange();
  }
}
