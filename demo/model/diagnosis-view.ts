import type { Model } from 'ossicle';
import { copyButton } from '../answer/copy-button.ts';
import { element } from '../element.ts';
import { texts } from '../language/texts.ts';

/** A button that diagnoses the model in use, and the report, to be copied. */
export class DiagnosisView {
  readonly element: HTMLElement = element('div', { class: 'diagnosis' });
  readonly #button = element('button', { type: 'button', class: 'button small', id: 'diagnose' });
  readonly #report = element('div');
  #model: Model | undefined;

  constructor() {
    this.#button.textContent = texts.model.diagnose;
    this.#button.addEventListener('click', () => void this.#diagnose());
    this.element.append(this.#button, this.#report);
  }

  /** Offers to diagnose another model. */
  show(model: Model): void {
    if (model === this.#model) return;
    this.#model = model;
    this.#report.replaceChildren();
  }

  async #diagnose(): Promise<void> {
    const model = this.#model;
    if (model === undefined || this.#button.ariaBusy === 'true') return;
    this.#button.ariaBusy = 'true'; // not disabled: that loses the focus
    this.#report.replaceChildren(element('p', { class: 'hint' }, texts.model.diagnosing));
    try {
      const { text } = await model.diagnose();
      const report = element('pre', { tabindex: 0 }, text);
      this.#report.replaceChildren(
        element(
          'figure',
          { class: 'code' },
          element(
            'figcaption',
            {},
            element('span', {}, texts.model.diagnosis),
            copyButton(texts.model.copyDiagnosis, () => text),
          ),
          report,
        ),
      );
    } catch (error) {
      this.#report.replaceChildren(error instanceof Error ? error.message : String(error));
    } finally {
      this.#button.ariaBusy = null;
    }
  }
}
