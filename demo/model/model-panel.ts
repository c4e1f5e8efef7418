import { openedFor } from '../connection-policy.ts';
import { element, find, icon } from '../element.ts';
import { formatBytes, formatCount, formatParameters } from '../format.ts';
import { texts } from '../language/texts.ts';
import { adapterName } from '../status-line.ts';
import {
  type CheckpointSource,
  embeddedSource,
  isReachable,
  localSource,
  parseSource,
} from './checkpoint-source.ts';
import type { LoadSettings } from './cost/load-settings.ts';
import { loadSettingsView } from './cost/load-settings-view.ts';
import { measureSpeed } from './cost/measure-speed.ts';
import { hostName } from './host-name.ts';
import type { HubAccess } from './hub-access.ts';
import { type LocalFiles, pickFolder, pickGguf } from './local-files.ts';
import type { ModelSlot, ModelState } from './model-slot.ts';
import { ReportView } from './report-view.ts';
import { StorageList } from './storage-list.ts';

/** The repository of the model to suggest for real answers. */
export const LARGE_REPOSITORY = 'openai/gpt-oss-20b';

/** Loads a checkpoint; `isAgreed` if the user has agreed to the download, with other choices for the model in use. */
type LoadAction = (checkpoint: CheckpointSource, isAgreed?: boolean, chosen?: LoadSettings) => void;

/** The panel for choosing, loading and deleting models. */
export class ModelPanel {
  readonly #dialog = find('model-panel', HTMLDialogElement);
  readonly #load: LoadAction;
  readonly #hub: HubAccess;
  readonly #inUse = element('div', { class: 'in-use' });
  readonly #source = element('input', {
    id: 'model-source',
    type: 'text',
    spellcheck: 'false',
    autocapitalize: 'off',
    autocomplete: 'off',
    placeholder: texts.model.sourcePlaceholder,
    'aria-describedby': 'model-source-hint',
  });
  readonly #hint = element('small', { id: 'model-source-hint', 'aria-live': 'polite' });
  readonly #storage: StorageList;
  readonly #reports = [
    new ReportView({
      ...{ id: 'diagnose', button: texts.model.diagnose, busy: texts.model.diagnosing },
      ...{ title: texts.model.diagnosis, copy: texts.model.copyDiagnosis },
      make: async ({ model }) => (await model.diagnose()).text,
    }),
    new ReportView({
      ...{ id: 'measure', button: texts.measured.button, busy: texts.measured.busy },
      ...{ title: texts.measured.title, copy: texts.measured.copy, make: measureSpeed },
    }),
  ];
  readonly #checkPolicy: () => void;

  /**
   * @param load called with the chosen checkpoint, once the panel is closed.
   * @param checkPolicy called to check texts against a policy.
   */
  constructor(slot: ModelSlot, hub: HubAccess, load: LoadAction, checkPolicy: () => void) {
    this.#checkPolicy = () => {
      this.close();
      checkPolicy();
    };
    this.#hub = hub;
    this.#load = (...choice) => {
      this.close();
      load(...choice);
    };
    this.#storage = new StorageList((checkpoint) => this.#load(checkpoint, true));
    this.#build();
    slot.subscribe((state) => this.#showInUse(state));
    find('model-button', HTMLButtonElement).addEventListener('click', () => this.open());
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
  }

  /** Opens the panel, optionally at its storage section or with a source filled in. */
  open({ section, source }: { section?: 'storage'; source?: string } = {}): void {
    if (source !== undefined) this.#source.value = source;
    this.explainSource();
    if (!this.#dialog.open) this.#dialog.showModal();
    void this.#storage.refresh().then(() => {
      if (section === 'storage') this.#storage.element.scrollIntoView();
    });
    if (source !== undefined) this.#source.focus();
  }

  /** Loads what a user would type as a source, from the mirror if one is entered. */
  load(source: string): void {
    const checkpoint = this.#parse(source);
    if (checkpoint) this.#load(checkpoint);
  }

  /** Closes the panel. */
  close(): void {
    this.#dialog.close();
  }

  /** Explains what the typed source and mirror would load. */
  explainSource(): void {
    const text = this.#source.value.trim();
    const checkpoint = this.#parse(text);
    this.#source.setAttribute('aria-invalid', String(text !== '' && checkpoint === undefined));
    if (checkpoint === undefined)
      this.#hint.textContent = text === '' ? texts.model.sourceHint : texts.model.sourceWrong;
    else if (isReachable(checkpoint, openedFor))
      this.#hint.textContent = texts.model.sourceLoads(checkpoint.name, hostName(checkpoint));
    else
      this.#hint.textContent = texts.model.sourceReloads(
        hostName(checkpoint),
        this.#hub.token !== undefined,
      );
  }

  #parse(text: string): CheckpointSource | undefined {
    return parseSource(text, location.href, this.#hub.mirror);
  }

  #build(): void {
    const embedded = embeddedSource(location.href);
    const form = element(
      'form',
      { class: 'source-form' },
      element('label', { for: 'model-source' }, texts.model.source),
      element(
        'div',
        { class: 'source-row' },
        this.#source,
        element('button', { type: 'submit', class: 'button' }, texts.model.loadButton),
      ),
      this.#hint,
    );
    this.#source.addEventListener('input', () => this.explainSource());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const checkpoint = this.#parse(this.#source.value);
      if (checkpoint && this.#hub.isValid) this.#load(checkpoint);
      else this.#source.focus();
    });
    this.#dialog.replaceChildren(
      element(
        'div',
        { class: 'panel-head' },
        element('h2', { id: 'model-panel-title' }, texts.model.title),
        element(
          'button',
          {
            type: 'button',
            class: 'icon-button',
            'aria-label': texts.close,
            title: texts.close,
            onclick: () => this.#dialog.close(),
          },
          icon('close'),
        ),
      ),
      this.#inUse,
      element('h3', {}, texts.model.load),
      element(
        'div',
        { class: 'choices' },
        this.#choice(embedded.source, embedded.name, texts.model.nano),
        this.#choice(LARGE_REPOSITORY, 'gpt-oss-20b', texts.model.medium),
        this.#choice(
          'openai/gpt-oss-safeguard-20b',
          'gpt-oss-safeguard-20b',
          texts.model.safeguard,
        ),
        this.#choice('openai/gpt-oss-120b', 'gpt-oss-120b', texts.model.large),
      ),
      this.#localChoice(),
      form,
      this.#hub.element,
      element('h3', {}, texts.model.stored),
      this.#storage.element,
    );
  }

  #choice(source: string, name: string, detail: string): HTMLElement {
    return element(
      'button',
      { type: 'button', class: 'choice', 'data-source': source, onclick: () => this.load(source) },
      element('strong', {}, name),
      element('span', {}, detail),
      icon('chevron'),
    );
  }

  #localChoice(): HTMLElement {
    const open = async (pick: () => Promise<LocalFiles | undefined>): Promise<void> => {
      const files = await pick();
      if (files) this.#load(localSource(files, texts.model.unnamedFiles));
    };
    const button = (id: string, label: string, onclick: () => void): HTMLElement =>
      element(
        'button',
        { type: 'button', class: 'button small', id, onclick },
        icon(id === 'open-folder' ? 'folder' : 'file'),
        label,
      );
    return element(
      'section',
      { class: 'local-choice', 'aria-label': texts.model.local },
      element('p', { class: 'field-label' }, texts.model.local),
      element(
        'div',
        { class: 'local-buttons' },
        button('open-folder', texts.model.openFolder, () => void open(pickFolder)),
        button('open-gguf', texts.model.openGguf, () => void open(pickGguf)),
      ),
      element('small', {}, texts.model.localHint),
    );
  }

  #showInUse({ model: loaded, status }: ModelState): void {
    this.#inUse.hidden = loaded === undefined;
    if (loaded === undefined || status === 'loading') return;
    const { model, checkpoint } = loaded;
    const { parameterCount, contextLength, gpuBytes, adapter } = model.info;
    const facts: readonly (readonly [string, string])[] = [
      [texts.model.parameters, formatParameters(parameterCount)],
      [texts.model.context, texts.model.contextTokens(formatCount(contextLength))],
      [texts.model.memory, formatBytes(gpuBytes)],
      [texts.model.gpu, adapterName(adapter)],
    ];
    for (const report of this.#reports) report.show(loaded);
    this.#inUse.replaceChildren(
      element('h3', {}, texts.model.inUse, element('strong', {}, checkpoint.name)),
      element(
        'dl',
        { class: 'facts-list' },
        ...facts.map(([name, value]) =>
          element('div', {}, element('dt', {}, name), element('dd', {}, value)),
        ),
      ),
      element(
        'div',
        { class: 'in-use-actions' },
        element(
          'button',
          {
            ...{ type: 'button', class: 'button small', id: 'check-policy' },
            onclick: this.#checkPolicy,
          },
          texts.model.checkPolicy,
        ),
        ...this.#reports.map((report) => report.element),
      ),
      loadSettingsView(loaded, (chosen) => this.#load(checkpoint, false, chosen)),
    );
  }
}
