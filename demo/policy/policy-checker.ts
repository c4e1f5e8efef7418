import type { Verdict } from 'ossicle';
import { element, find, iconButton } from '../element.ts';
import { texts } from '../language/texts.ts';
import { loadLibrary } from '../model/library.ts';
import type { LoadedModel } from '../model/model-slot.ts';
import { readLocal, storageKey, writeLocal } from '../storage-key.ts';

const EXAMPLE = `# Policy
- email: Email addresses are not allowed.
- phone: Phone numbers are not allowed.`;

/** Local storage key of the user's policy; without one, the example is shown. */
const KEY = storageKey('policy');

/** Checks a text against a policy that the user writes, as gpt-oss-safeguard was trained to. */
export class PolicyChecker {
  readonly #dialog = find('policy', HTMLDialogElement);
  readonly #model: () => LoadedModel | undefined;
  readonly #policy = element('textarea', { id: 'policy-text', rows: 6, spellcheck: 'false' });
  readonly #content = element('textarea', { id: 'policy-content', rows: 3, dir: 'auto' });
  readonly #result = element('div', { class: 'verdict', role: 'status' });
  readonly #check = element('button', { type: 'submit', class: 'button primary' });
  #abort: AbortController | undefined;

  /** @param model the model in use, if any. */
  constructor(model: () => LoadedModel | undefined) {
    this.#model = model;
    this.#policy.value = readLocal(KEY) ?? EXAMPLE;
    this.#policy.addEventListener('input', () => writeLocal(KEY, this.#policy.value));
    this.#check.textContent = texts.policy.check;
    const form = element(
      'form',
      { class: 'policy-form' },
      element('label', { class: 'field' }, element('span', {}, texts.policy.policy), this.#policy),
      element(
        'label',
        { class: 'field' },
        element('span', {}, texts.policy.content),
        this.#content,
      ),
      element('div', { class: 'button-row' }, this.#check),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#run();
    });
    this.#dialog.append(
      element(
        'div',
        { class: 'panel-head' },
        element('h2', { id: 'policy-title' }, texts.policy.title),
        iconButton('close', texts.close, () => this.#dialog.close()),
      ),
      element('p', { class: 'hint' }, texts.policy.lede),
      form,
      this.#result,
    );
    this.#dialog.addEventListener('close', () => this.#abort?.abort());
  }

  /** Opens the checker. */
  open(): void {
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#content.focus();
  }

  async #run(): Promise<void> {
    const loaded = this.#model();
    const content = this.#content.value.trim();
    if (loaded === undefined || content === '') {
      this.#content.focus();
      return;
    }
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#result.className = 'verdict';
    this.#result.replaceChildren(element('span', { class: 'pulse' }), ` ${texts.policy.checking}`);
    try {
      const { classify } = await loadLibrary();
      const policy = this.#policy.value.trim();
      const { signal } = abort;
      this.#show(await classify(loaded.model, { policy, content, signal }));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (this.#abort === abort)
        this.#result.replaceChildren(...(abort.signal.aborted ? [] : [why]));
    }
  }

  #show({ violation, category, rationale }: Verdict): void {
    this.#result.className = violation ? 'verdict is-violation' : 'verdict';
    const title = violation ? texts.policy.violation(category ?? '') : texts.policy.allowed;
    this.#result.replaceChildren(element('strong', {}, title), element('p', {}, rationale));
    this.#result.scrollIntoView({ block: 'nearest' });
  }
}
