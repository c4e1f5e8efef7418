import { element, find, icon } from './element.ts';
import { formatBytes, formatCount } from './format.ts';
import { texts } from './language/texts.ts';
import type { LoadedModel } from './model/model-slot.ts';

/** The line below the message field: the GPU, the memory the model takes, and how full its context is. */
export class StatusLine {
  readonly #private: HTMLElement;
  readonly #line = find('status-line', HTMLElement);
  #model: LoadedModel | undefined;
  #contextTokens: number | undefined = 0;
  readonly #context = element('span', { title: texts.status.contextUsed });

  /** Shows another model, or none. */
  showModel(model: LoadedModel | undefined): void {
    this.#model = model;
    this.#show();
  }

  /** Shows how many tokens are in the conversation; `undefined` if that is not known yet. */
  showContext(tokens: number | undefined): void {
    this.#contextTokens = tokens;
    this.#showContext();
  }

  /** @param openRequests called to list the requests of the page. */
  constructor(openRequests: () => void) {
    this.#private = element(
      'span',
      {},
      element(
        'button',
        { type: 'button', class: 'private', id: 'requests-button', onclick: openRequests },
        icon('lock'),
        texts.requests.open,
      ),
    );
  }

  #show(): void {
    const facts = [this.#private];
    if (this.#model) {
      const { adapter, gpuBytes } = this.#model.model.info;
      this.#showContext();
      facts.push(
        element('span', { class: 'is-detail', title: texts.status.gpu }, adapterName(adapter)),
        element(
          'span',
          { class: 'is-detail', title: texts.status.memory },
          texts.status.onGpu(formatBytes(gpuBytes)),
        ),
        this.#context,
      );
    }
    // Left in place, so that it keeps the focus.
    for (const node of [...this.#line.children]) if (node !== this.#private) node.remove();
    this.#line.append(...(this.#private.isConnected ? facts.slice(1) : facts));
  }

  #showContext(): void {
    if (!this.#model) return;
    const { contextLength } = this.#model.model.info;
    const used = this.#contextTokens;
    this.#context.classList.toggle('is-warning', (used ?? 0) > 0.9 * contextLength);
    this.#context.textContent = texts.status.ofTokens(
      used === undefined ? '…' : formatCount(used),
      formatCount(contextLength),
    );
  }
}

/** A short name for a GPU adapter, from the little that browsers tell. */
export function adapterName(adapter: LoadedModel['model']['info']['adapter']): string {
  const { description, vendor, architecture } = adapter;
  const name = description || [vendor, architecture].filter(Boolean).join(' ');
  return name === '' ? 'GPU' : name.replace(/\s*\((?:LLVM|Subzero).*$/, '');
}
