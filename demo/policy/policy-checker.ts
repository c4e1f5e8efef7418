import { announce } from '../announcer.ts';
import { element, find, iconButton } from '../element.ts';
import { isoDate } from '../format.ts';
import { texts } from '../language/texts.ts';
import type { LoadedModel } from '../model/model-slot.ts';

const EXAMPLE = `# Policy
- email: Email addresses are not allowed.
- phone: Phone numbers are not allowed.

Reply with JSON: {"violation":0|1,"policy_category":"...","rationale":"..."}`;

/** What the model says about a text. */
interface Verdict {
  readonly isViolation: boolean;
  readonly category: string;
  readonly rationale: string;
}

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
    this.#policy.value = EXAMPLE;
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
    this.#check.disabled = true;
    this.#result.replaceChildren(element('span', { class: 'pulse' }), ` ${texts.policy.checking}`);
    try {
      const { text } = await loaded.model.generate(content, {
        ...{ instructions: this.#policy.value.trim(), temperature: 0, maxTokens: 1024 },
        ...{ currentDate: isoDate(new Date()), signal: abort.signal },
      }).result;
      if (!abort.signal.aborted) this.#show(parseVerdict(text), text);
    } catch (error) {
      this.#result.replaceChildren(error instanceof Error ? error.message : String(error));
    } finally {
      this.#check.disabled = false;
      if (abort.signal.aborted) this.#result.replaceChildren();
    }
  }

  #show(verdict: Verdict | undefined, text: string): void {
    this.#result.className = verdict?.isViolation ? 'verdict is-violation' : 'verdict';
    if (verdict === undefined) {
      this.#result.replaceChildren(texts.policy.unclear, ' ', element('code', {}, text));
      return;
    }
    const { isViolation, category, rationale } = verdict;
    const title = isViolation ? texts.policy.violation(category) : texts.policy.allowed;
    this.#result.replaceChildren(element('strong', {}, title), element('p', {}, rationale));
    announce(title);
  }
}

/** The verdict in an answer; `undefined` if it has another form. */
export function parseVerdict(answer: string): Verdict | undefined {
  try {
    const found: unknown = JSON.parse(
      answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1),
    );
    if (typeof found !== 'object' || found === null) return undefined;
    const { violation, policy_category: category, rationale } = found as Record<string, unknown>;
    if (violation !== 0 && violation !== 1) return undefined;
    return {
      isViolation: violation === 1,
      category: typeof category === 'string' ? category : '',
      rationale: typeof rationale === 'string' ? rationale : '',
    };
  } catch {
    return undefined;
  }
}
