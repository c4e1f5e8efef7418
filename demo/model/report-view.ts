import { copyButton } from '../answer/copy-button.ts';
import { element } from '../element.ts';
import type { LoadedModel } from './model-slot.ts';

/** What a {@link ReportView} reports. */
export interface Report {
  /** The id of its button. */
  readonly id: string;
  readonly button: string;
  /** What is shown while it is made. */
  readonly busy: string;
  readonly title: string;
  readonly copy: string;
  readonly make: (loaded: LoadedModel) => Promise<string>;
}

/** A button that makes a report on the model in use, and the report, to be copied. */
export class ReportView {
  readonly element: HTMLElement = element('div', { class: 'report-view' });
  readonly #report: Report;
  readonly #button: HTMLButtonElement;
  /** Inside the panel: what is outside a modal dialog is not announced. */
  readonly #status = element('p', { class: 'hint', role: 'status' });
  readonly #place = element('div');
  #loaded: LoadedModel | undefined;

  constructor(report: Report) {
    this.#report = report;
    const { id, button } = report;
    this.#button = element('button', { type: 'button', class: 'button small', id }, button);
    this.#button.addEventListener('click', () => void this.#make());
    this.element.append(this.#button, this.#status, this.#place);
  }

  /** Offers to report on another model. */
  show(loaded: LoadedModel): void {
    if (loaded.model === this.#loaded?.model) return;
    this.#loaded = loaded;
    this.#say('');
    this.#place.replaceChildren();
  }

  async #make(): Promise<void> {
    const loaded = this.#loaded;
    if (loaded === undefined || this.#button.ariaBusy === 'true') return;
    this.#button.ariaBusy = 'true'; // not disabled: that loses the focus
    const { busy, title, copy, make } = this.#report;
    this.#say(busy);
    this.#place.replaceChildren();
    try {
      const text = await make(loaded);
      this.#say(title, true);
      this.#place.replaceChildren(
        element(
          'figure',
          { class: 'code' },
          element(
            'figcaption',
            {},
            element('span', {}, title),
            copyButton(copy, () => text),
          ),
          element('pre', { tabindex: 0 }, text),
        ),
      );
    } catch (error) {
      this.#say(error instanceof Error ? error.message : String(error));
    } finally {
      this.#button.ariaBusy = null;
    }
  }

  #say(text: string, isSeen = false): void {
    this.#status.className = isSeen ? 'visually-hidden' : 'hint';
    this.#status.textContent = text;
  }
}
