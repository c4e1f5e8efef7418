import type { LoadProgress } from 'ossicle';
import { announce } from './announcer.ts';
import { element, find } from './element.ts';
import { failureCard, type NextStep } from './failure-card.ts';
import { formatBytes, formatSeconds } from './format.ts';
import type { ModelSlot, ModelState } from './model-slot.ts';

const PHASES: Record<LoadProgress['phase'], string> = {
  download: 'Downloading',
  verify: 'Checking',
  upload: 'Moving to the GPU',
  compile: 'Compiling shaders',
  ready: 'Ready',
};
const ANNOUNCED_STEP = 0.25;

/** The strip above the message field that shows how far a load is, or why it failed. */
export class LoadNotice {
  readonly #place = find('notice', HTMLElement);
  readonly #slot: ModelSlot;
  readonly #onStep: (step: NextStep) => void;
  readonly #title = element('strong');
  readonly #facts = element('span', { class: 'facts' });
  readonly #bar = element('progress', { max: 1, 'aria-label': 'Loading the model' });
  readonly #strip: HTMLElement;
  #status: ModelState['status'] = 'empty';
  #announced = '';

  constructor(slot: ModelSlot, onStep: (step: NextStep) => void) {
    this.#slot = slot;
    this.#onStep = onStep;
    this.#strip = element(
      'section',
      { class: 'load-strip', 'aria-label': 'Loading' },
      element('div', { class: 'load-text' }, this.#title, this.#facts),
      element(
        'button',
        { type: 'button', class: 'text-button', id: 'cancel-load', onclick: () => slot.cancel() },
        'Cancel',
      ),
      this.#bar,
    );
    slot.subscribe((state) => this.#show(state));
  }

  #show(state: ModelState): void {
    const changed = state.status !== this.#status;
    this.#status = state.status;
    if (state.status === 'loading') {
      this.#showProgress(state.checkpoint.name, state.progress);
      if (changed) this.#place.replaceChildren(this.#strip);
    } else if (state.status === 'failed') this.#showFailure(state.error, state.model !== undefined);
    else if (changed) {
      this.#place.replaceChildren();
      if (state.status === 'ready') announce(`${state.model.checkpoint.name} is ready.`);
    }
  }

  #showProgress(name: string, progress: LoadProgress | undefined): void {
    if (progress === undefined || progress.totalBytes === 0) {
      this.#title.textContent = `${progress ? PHASES[progress.phase] : 'Opening'} ${progress ? '' : name}`;
      this.#facts.textContent = '';
      this.#bar.removeAttribute('value');
      return;
    }
    const { phase, loadedBytes, totalBytes, bytesPerSecond, etaSeconds } = progress;
    const share = Math.min(1, loadedBytes / totalBytes);
    const counts = phase !== 'compile' && phase !== 'ready';
    this.#title.textContent = counts ? `${PHASES[phase]} ${name}` : PHASES[phase];
    this.#facts.textContent = counts
      ? [
          `${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)}`,
          bytesPerSecond > 0 && `${formatBytes(bytesPerSecond)}/s`,
          etaSeconds !== undefined &&
            etaSeconds >= 1 &&
            `${formatSeconds(Math.round(etaSeconds))} left`,
        ]
          .filter((fact) => typeof fact === 'string')
          .join(' · ')
      : '';
    this.#bar.value = share;
    const step = `${PHASES[phase]} ${name}, ${Math.floor(share / ANNOUNCED_STEP) * ANNOUNCED_STEP * 100} %`;
    if (step !== this.#announced) announce(step);
    this.#announced = step;
  }

  #showFailure(error: unknown, hasModel: boolean): void {
    const dismiss = (): void => this.#slot.dismissFailure();
    this.#place.replaceChildren(failureCard(error, this.#onStep, hasModel ? dismiss : undefined));
  }
}
