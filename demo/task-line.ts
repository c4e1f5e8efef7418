import { announce } from './announcer.ts';
import { element, icon } from './element.ts';
import { formatBytesOf } from './format.ts';

/** What a task is given to report by. */
interface TaskOptions {
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
  readonly signal: AbortSignal;
}

/** A line that shows how far a task of a stored model is, lets the person stop it, and then says what came of it. */
export class TaskLine {
  readonly element: HTMLElement = element('div', { class: 'task', hidden: true });
  #abort: AbortController | undefined;

  /** Whether a task is under way. */
  get isBusy(): boolean {
    return this.#abort !== undefined;
  }

  /**
   * Runs a task.
   *
   * @param doing what it does, such as `Checking`.
   * @param failing what to say of a failure, such as `It was not checked`.
   * @returns what the task returned; `undefined` where it failed or was stopped, which the line then says.
   */
  async run<T>(
    doing: string,
    failing: string,
    task: (options: TaskOptions) => Promise<T>,
  ): Promise<T | undefined> {
    const abort = new AbortController();
    this.#abort = abort;
    const text = element('span', {}, `${doing}…`);
    const bar = element('progress', { max: 1, 'aria-label': doing });
    const stop = element(
      'button',
      { type: 'button', class: 'text-button', onclick: () => abort.abort() },
      'Stop',
    );
    this.#show('is-running', text, stop, bar);
    announce(doing);
    const onProgress = (done: number, total: number): void => {
      text.textContent = `${doing} ${formatBytesOf(done, total)}`;
      bar.value = total > 0 ? done / total : 0;
    };
    try {
      return await task({ onProgress, signal: abort.signal });
    } catch (error) {
      if (abort.signal.aborted) this.clear();
      else {
        const why = error instanceof Error ? error.message : String(error);
        this.tell('bad', `${failing}: ${why}`);
      }
      return undefined;
    } finally {
      this.#abort = undefined;
    }
  }

  /** Says what came of a task. */
  tell(kind: 'good' | 'bad', message: string, ...more: readonly Node[]): void {
    this.#show(
      `is-${kind}`,
      icon(kind === 'good' ? 'check' : 'warning'),
      element('span', {}, message),
      ...more,
    );
    announce(message);
  }

  /** Shows nothing. */
  clear(): void {
    this.element.hidden = true;
    this.element.replaceChildren();
  }

  #show(state: string, ...children: readonly Node[]): void {
    this.element.className = `task ${state}`;
    this.element.hidden = false;
    this.element.replaceChildren(...children);
  }
}
