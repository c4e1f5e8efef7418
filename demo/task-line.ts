import { announce } from './announcer.ts';
import { element, icon } from './element.ts';
import { formatBytesOf } from './format.ts';
import { texts } from './language/texts.ts';

/** How a task reports progress and learns that the user stopped it. */
interface TaskOptions {
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
  readonly signal: AbortSignal;
}

/** A line that shows the progress of a task, lets the user stop it, and then shows its outcome. */
export class TaskLine {
  readonly element: HTMLElement = element('div', { class: 'task', hidden: true });
  #abort: AbortController | undefined;

  /** Whether a task is running. */
  get isBusy(): boolean {
    return this.#abort !== undefined;
  }

  /**
   * Runs a task.
   *
   * @param doing the label while it runs, such as `Verifying`.
   * @param failing the start of the message if it fails, such as `Import failed`.
   * @returns what the task returned; `undefined` if it failed, which the line then shows, or was stopped.
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
      texts.stop,
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

  /** Shows and announces the outcome of a task. */
  tell(kind: 'good' | 'bad', message: string, ...more: readonly Node[]): void {
    this.#show(
      `is-${kind}`,
      icon(kind === 'good' ? 'check' : 'warning'),
      element('span', {}, message),
      ...more,
    );
    announce(message);
  }

  /** Hides the line. */
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
