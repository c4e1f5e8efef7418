import {
  type CheckpointSource,
  embeddedSource,
  isReachable,
  parseSource,
} from './checkpoint-source.ts';
import { openedFor } from './connection-policy.ts';
import { element, find, icon } from './element.ts';
import { formatBytes, formatCount, formatParameters } from './format.ts';
import type { ModelSlot, ModelState } from './model-slot.ts';
import { adapterName } from './status-line.ts';
import { StorageList } from './storage-list.ts';

const LARGE_REPOSITORY = 'openai/gpt-oss-20b';

/** The panel in which a person chooses, loads and deletes models. */
export class ModelPanel {
  readonly #dialog = find('model-panel', HTMLDialogElement);
  readonly #load: (checkpoint: CheckpointSource) => void;
  readonly #inUse = element('div', { class: 'in-use' });
  readonly #source = element('input', {
    id: 'model-source',
    type: 'text',
    spellcheck: 'false',
    autocapitalize: 'off',
    autocomplete: 'off',
    placeholder: 'owner/name or https://host/folder/',
    'aria-describedby': 'model-source-hint',
  });
  readonly #hint = element('small', { id: 'model-source-hint', 'aria-live': 'polite' });
  readonly #storage: StorageList;

  /** @param load called with what the person chose; the panel is closed by then. */
  constructor(slot: ModelSlot, load: (checkpoint: CheckpointSource) => void) {
    this.#load = (checkpoint) => {
      this.#dialog.close();
      load(checkpoint);
    };
    this.#storage = new StorageList(this.#load);
    this.#build();
    slot.subscribe((state) => this.#showInUse(state));
    find('model-button', HTMLButtonElement).addEventListener('click', () => this.open());
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
  }

  /** Opens the panel, at its storage section if asked, or with a source filled in. */
  open({ section, source }: { section?: 'storage'; source?: string } = {}): void {
    if (source !== undefined) this.#source.value = source;
    this.#explainSource();
    if (!this.#dialog.open) this.#dialog.showModal();
    void this.#storage.refresh().then(() => {
      if (section === 'storage') this.#storage.element.scrollIntoView();
    });
    if (source !== undefined) this.#source.focus();
  }

  #build(): void {
    const embedded = embeddedSource(location.href);
    const large = parseSource(LARGE_REPOSITORY, location.href);
    const form = element(
      'form',
      { class: 'source-form' },
      element('label', { for: 'model-source' }, 'Another checkpoint'),
      element(
        'div',
        { class: 'source-row' },
        this.#source,
        element('button', { type: 'submit', class: 'button' }, 'Load'),
      ),
      this.#hint,
    );
    this.#source.addEventListener('input', () => this.#explainSource());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const checkpoint = parseSource(this.#source.value, location.href);
      if (checkpoint) this.#load(checkpoint);
      else this.#source.focus();
    });
    this.#dialog.replaceChildren(
      element(
        'div',
        { class: 'panel-head' },
        element('h2', { id: 'model-panel-title' }, 'Models'),
        element(
          'button',
          {
            type: 'button',
            class: 'icon-button',
            'aria-label': 'Close',
            title: 'Close',
            onclick: () => this.#dialog.close(),
          },
          icon('close'),
        ),
      ),
      this.#inUse,
      element('h3', {}, 'Load a model'),
      element(
        'div',
        { class: 'choices' },
        this.#choice(
          embedded,
          'Comes with the page: 3 MB. A toy that shows the machinery, on any GPU.',
        ),
        ...(large
          ? [
              this.#choice(
                large,
                'OpenAI’s open model: about 13 GB from huggingface.co, once. Needs a GPU with about 16 GB of memory.',
              ),
            ]
          : []),
      ),
      form,
      element('h3', {}, 'Stored in this browser'),
      this.#storage.element,
    );
  }

  #choice(checkpoint: CheckpointSource, detail: string): HTMLElement {
    return element(
      'button',
      {
        type: 'button',
        class: 'choice',
        'data-source': checkpoint.source,
        onclick: () => this.#load(checkpoint),
      },
      element('strong', {}, checkpoint.name),
      element('span', {}, detail),
      icon('chevron'),
    );
  }

  #explainSource(): void {
    const text = this.#source.value.trim();
    const checkpoint = parseSource(text, location.href);
    this.#source.setAttribute('aria-invalid', String(text !== '' && checkpoint === undefined));
    if (checkpoint === undefined)
      this.#hint.textContent =
        text === ''
          ? 'A Hugging Face repository, or the address of a folder with config.json and *.safetensors.'
          : 'This is neither owner/name nor an http(s) address.';
    else if (isReachable(checkpoint, openedFor))
      this.#hint.textContent = `Loads ${checkpoint.name} from ${checkpoint.host}.`;
    else
      this.#hint.textContent = `The page opens again, allowed to connect to ${checkpoint.host} and nowhere else; the conversation ends. The host has to allow other sites to read its files (CORS).`;
  }

  #showInUse({ model: loaded, status }: ModelState): void {
    this.#inUse.hidden = loaded === undefined;
    if (loaded === undefined || status === 'loading') return;
    const { model, checkpoint } = loaded;
    const { parameterCount, contextLength, gpuBytes, adapter } = model.info;
    const facts: readonly (readonly [string, string])[] = [
      ['Parameters', formatParameters(parameterCount)],
      ['Context', `${formatCount(contextLength)} tokens`],
      ['GPU memory', formatBytes(gpuBytes)],
      ['GPU', adapterName(adapter)],
    ];
    this.#inUse.replaceChildren(
      element('h3', {}, 'In use: ', element('strong', {}, checkpoint.name)),
      element(
        'dl',
        { class: 'facts-list' },
        ...facts.map(([name, value]) =>
          element('div', {}, element('dt', {}, name), element('dd', {}, value)),
        ),
      ),
    );
  }
}
