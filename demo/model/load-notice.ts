import type { LoadProgress } from 'ossicle';
import { announce } from '../announcer.ts';
import { element, find, iconButton } from '../element.ts';
import { formatBytes, formatBytesOf, formatSeconds } from '../format.ts';
import { texts } from '../language/texts.ts';
import { failureCard, type NextStep } from './failure-card.ts';
import type { ModelSlot, ModelState, PausedDownload } from './model-slot.ts';

const NOT_BEGUN: LoadProgress = {
  phase: 'download',
  loadedBytes: 0,
  totalBytes: 0,
  bytesPerSecond: 0,
};
const ANNOUNCED_STEP = 0.25;

/** What the strip can ask the page to do. */
export interface NoticeActions {
  /** Takes a step after a failure. */
  readonly step: (step: NextStep) => void;
  /** Resumes a paused download. */
  readonly resume: (paused: PausedDownload) => void;
}

/** The strip above the message field: the progress of a load, a paused download, or why a load failed. */
export class LoadNotice {
  readonly #place = find('notice', HTMLElement);
  readonly #slot: ModelSlot;
  readonly #actions: NoticeActions;
  readonly #title = element('strong');
  readonly #facts = element('span', { class: 'facts' });
  readonly #bar = element('progress', { max: 1, 'aria-label': texts.load.loadingModel });
  readonly #pause: HTMLElement;
  readonly #strip: HTMLElement;
  #shown: unknown;
  #announced = '';

  constructor(slot: ModelSlot, actions: NoticeActions) {
    this.#slot = slot;
    this.#actions = actions;
    this.#pause = button('pause-load', texts.load.pause, () => slot.pause());
    this.#strip = strip(
      texts.load.loading,
      element('div', { class: 'load-text' }, this.#title, this.#facts),
      [this.#pause, button('cancel-load', texts.cancel, () => slot.cancel())],
      this.#bar,
    );
    slot.subscribe((state) => this.#show(state));
  }

  #show(state: ModelState): void {
    const { status } = state;
    const paused = status === 'ready' || status === 'empty' ? state.paused : undefined;
    const shown = paused ?? (status === 'failed' ? state.error : status);
    const changed = shown !== this.#shown;
    this.#shown = shown;
    if (status === 'loading') {
      this.#showProgress(state.checkpoint.name, state.progress);
      if (changed) this.#place.replaceChildren(this.#strip);
    } else if (!changed) return;
    else if (status === 'failed') this.#showFailure(state.error, state.model !== undefined);
    else if (paused) this.#showPaused(paused);
    else {
      this.#place.replaceChildren();
      if (status === 'ready') announce(texts.load.ready(state.model.checkpoint.name));
    }
  }

  #showProgress(name: string, progress: LoadProgress | undefined): void {
    const { phase, loadedBytes, totalBytes, bytesPerSecond, etaSeconds } = progress ?? NOT_BEGUN;
    const isCounted = progress !== undefined && loadedBytes < totalBytes;
    this.#pause.hidden = !isCounted || phase !== 'download';
    if (!isCounted) {
      // Reading headers or compiling shaders.
      this.#title.textContent = progress ? texts.load.preparing : texts.load.opening(name);
      this.#facts.textContent = '';
      this.#bar.removeAttribute('value');
      return;
    }
    const share = loadedBytes / totalBytes;
    const left = etaSeconds !== undefined && etaSeconds >= 1 ? Math.round(etaSeconds) : undefined;
    const facts = [formatBytesOf(loadedBytes, totalBytes)];
    if (bytesPerSecond > 0) facts.push(`${formatBytes(bytesPerSecond)}/s`);
    if (left !== undefined) facts.push(texts.load.left(formatSeconds(left)));
    const title = texts.load.phases[phase](name);
    this.#title.textContent = title;
    this.#facts.textContent = facts.join(' · ');
    this.#bar.value = share;
    const percent = Math.floor(share / ANNOUNCED_STEP) * ANNOUNCED_STEP * 100;
    const step = `${title}, ${percent} %`;
    if (step !== this.#announced) announce(step);
    this.#announced = step;
  }

  #showPaused(paused: PausedDownload): void {
    const { checkpoint, storedBytes, totalBytes } = paused;
    const downloaded = texts.load.downloaded(formatBytesOf(storedBytes, totalBytes));
    const resume = button('resume-load', texts.load.resume, () => this.#actions.resume(paused));
    const hadFocus = this.#place.contains(document.activeElement);
    const shown = strip(
      texts.load.pausedDownload,
      element(
        'div',
        { class: 'load-text' },
        element('strong', {}, texts.load.paused(checkpoint.name)),
        element('span', { class: 'facts' }, downloaded),
      ),
      [resume, iconButton('close', texts.load.hide, () => this.#slot.dismiss())],
      element('progress', {
        max: 1,
        value: totalBytes > 0 ? storedBytes / totalBytes : 0,
        'aria-label': texts.load.downloadedShare,
      }),
    );
    shown.classList.add('is-paused');
    this.#place.replaceChildren(shown);
    if (hadFocus) resume.focus();
    announce(`${texts.load.paused(checkpoint.name)}, ${downloaded}.`);
  }

  #showFailure(error: unknown, hasModel: boolean): void {
    const dismiss = (): void => this.#slot.dismiss();
    this.#place.replaceChildren(
      failureCard(error, this.#actions.step, hasModel ? dismiss : undefined),
    );
  }
}

function strip(
  label: string,
  text: HTMLElement,
  buttons: readonly HTMLElement[],
  bar: HTMLElement,
): HTMLElement {
  return element(
    'section',
    { class: 'load-strip', 'aria-label': label },
    text,
    element('div', { class: 'load-buttons' }, ...buttons),
    bar,
  );
}

function button(id: string, label: string, onclick: () => void): HTMLButtonElement {
  return element('button', { type: 'button', class: 'text-button', id, onclick }, label);
}
