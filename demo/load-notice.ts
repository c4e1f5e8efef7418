import type { LoadProgress } from 'ossicle';
import { announce } from './announcer.ts';
import { element, find } from './element.ts';
import { failureCard, type NextStep } from './failure-card.ts';
import { formatBytes, formatSeconds } from './format.ts';
import type { ModelSlot, ModelState } from './model-slot.ts';

const PHASES: Record<LoadProgress['phase'], string> = {
  download: 'Downloading',
  verify: 'Checking',
  upload: 'Moving to the GPU:',
  compile: 'Preparing',
  ready: 'Preparing',
};
const NOT_BEGUN: LoadProgress = {
  phase: 'download',
  loadedBytes: 0,
  totalBytes: 0,
  bytesPerSecond: 0,
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
    const { phase, loadedBytes, totalBytes, bytesPerSecond, etaSeconds } = progress ?? NOT_BEGUN;
    if (progress === undefined || loadedBytes >= totalBytes) {
      // Nothing to count: headers are read, or shaders are compiled.
      this.#title.textContent = progress ? 'Preparing the GPU' : `Opening ${name}`;
      this.#facts.textContent = '';
      this.#bar.removeAttribute('value');
      return;
    }
    const share = loadedBytes / totalBytes;
    const left = etaSeconds !== undefined && etaSeconds >= 1 ? Math.round(etaSeconds) : undefined;
    const facts = [`${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)}`];
    if (bytesPerSecond > 0) facts.push(`${formatBytes(bytesPerSecond)}/s`);
    if (left !== undefined) facts.push(`${formatSeconds(left)} left`);
    this.#title.textContent = `${PHASES[phase]} ${name}`;
    this.#facts.textContent = facts.join(' · ');
    this.#bar.value = share;
    const percent = Math.floor(share / ANNOUNCED_STEP) * ANNOUNCED_STEP * 100;
    const step = `${PHASES[phase]} ${name}, ${percent} %`;
    if (step !== this.#announced) announce(step);
    this.#announced = step;
  }

  #showFailure(error: unknown, hasModel: boolean): void {
    const dismiss = (): void => this.#slot.dismissFailure();
    this.#place.replaceChildren(failureCard(error, this.#onStep, hasModel ? dismiss : undefined));
  }
}
