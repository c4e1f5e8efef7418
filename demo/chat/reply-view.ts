import type { GenerateEvent, GenerateResult, ToolCall } from 'ossicle';
import { element, icon, iconButton } from '../element.ts';
import { formatCount, formatSeconds, formatTokensPerSecond } from '../format.ts';
import { failureCard, type NextStep } from '../model/failure-card.ts';
import { copyButton } from './copy-button.ts';
import { MarkdownView } from './markdown.ts';
import { ReasoningPane } from './reasoning-pane.ts';

interface TextPart {
  readonly kind: 'reasoning' | 'text';
  readonly view: ReasoningPane | MarkdownView;
  text: string;
}

/** What a reply can ask the page to do. */
export interface ReplyActions {
  /** Answers the same question again. */
  readonly retry: () => void;
  /** Takes a step after a failure. */
  readonly step: (step: NextStep) => void;
}

/** Rendering takes at most this share of the time: a long answer is shown in fewer, larger steps. */
const RENDER_SHARE = 0.25;

const ENDINGS = { aborted: 'Stopped', length: 'Token limit reached' };

/** One answer: reasoning, tool calls and text in order of arrival, then its buttons and numbers. */
export class ReplyView {
  readonly element: HTMLElement;
  readonly #parts = element('div', { class: 'reply-parts' });
  readonly #pending = element(
    'p',
    { class: 'pending' },
    element('span', { class: 'pulse' }),
    'Reading',
  );
  readonly #foot = element('div', { class: 'message-foot' });
  readonly #tools = new Map<string, HTMLElement>();
  readonly #actions: ReplyActions;
  #current: TextPart | undefined;
  #answer = '';
  #frame = 0;
  #restUntilMs = 0;

  constructor(actions: ReplyActions) {
    this.#actions = actions;
    this.element = element(
      'article',
      { class: 'reply', 'aria-label': 'Answer', 'aria-busy': 'true' },
      this.#parts,
      this.#pending,
      this.#foot,
    );
  }

  /** The answer as plain text, without Markdown syntax. */
  get spokenAnswer(): string {
    const texts = this.#parts.querySelectorAll('.markdown');
    return Array.from(texts, (text) => text.textContent?.trim()).join('\n');
  }

  /** Shows one event of the generation. */
  show(event: GenerateEvent): void {
    if (event.type === 'prefill') {
      const { processedTokens, totalTokens } = event;
      const isLong = totalTokens > 256 && processedTokens < totalTokens;
      this.#wait(
        isLong
          ? `Reading ${formatCount(processedTokens)} of ${formatCount(totalTokens)} tokens`
          : 'Reading',
      );
    } else if (event.type === 'reasoning-delta') this.#append('reasoning', event.text);
    else if (event.type === 'text-delta') this.#append('text', event.text);
    else if (event.type === 'tool-call') this.#showToolCall(event);
    else if (event.type === 'tool-result') {
      this.#showToolResult(event.id, 'Result', JSON.stringify(event.output));
    } else if (event.type === 'tool-error') this.#showToolResult(event.id, 'Error', event.error);
  }

  /**
   * Ends the reply with its numbers.
   *
   * @param why why it was stopped, if the user did not stop it.
   */
  finish(result: GenerateResult, why?: string): void {
    this.#close();
    const { timings, usage, reason } = result;
    const facts = [
      why ? `${ENDINGS.aborted}: ${why}` : ENDINGS[reason as keyof typeof ENDINGS],
      `${formatCount(usage.completionTokens)} tokens`,
      usage.completionTokens > 1 && formatTokensPerSecond(timings.decodeTokensPerSecond),
      usage.completionTokens > 0 &&
        `first token in ${formatSeconds(timings.timeToFirstTokenMs / 1000)}`,
    ].filter((fact) => typeof fact === 'string');
    this.#foot.replaceChildren(
      copyButton('Copy answer', () => this.#answer),
      iconButton('retry', 'Answer again', this.#actions.retry),
      element('span', { class: 'facts' }, facts.join(' · ')),
    );
  }

  /** Ends a stopped reply that has no numbers. */
  stop(): void {
    this.#close();
    this.#foot.replaceChildren(
      iconButton('retry', 'Answer again', this.#actions.retry),
      element('span', { class: 'facts' }, ENDINGS.aborted),
    );
  }

  /** Ends the reply with a failure. */
  fail(error: unknown): void {
    this.#close();
    this.#parts.append(failureCard(error, this.#actions.step));
    this.#foot.replaceChildren(iconButton('retry', 'Answer again', this.#actions.retry));
  }

  #append(kind: TextPart['kind'], text: string): void {
    if (this.#current?.kind !== kind) {
      this.#endPart();
      const view = kind === 'reasoning' ? new ReasoningPane() : new MarkdownView();
      this.#current = { kind, view, text: '' };
      this.#parts.append(view.element);
      this.#pending.hidden = true;
    }
    this.#current.text += text;
    if (kind === 'text') this.#answer += text;
    this.#frame ||= requestAnimationFrame(() => this.#renderFrame());
  }

  #showToolCall(call: ToolCall): void {
    this.#endPart();
    const input = call.input === undefined ? call.inputText : JSON.stringify(call.input);
    const card = element(
      'dl',
      { class: 'tool-call is-running' },
      element('dt', {}, icon('tool'), 'Tool'),
      element('dd', {}, element('code', {}, call.name)),
      element('dt', {}, 'Arguments'),
      element('dd', {}, element('code', {}, input)),
    );
    this.#tools.set(call.id, card);
    this.#parts.append(card);
    this.#wait('Reading');
  }

  #showToolResult(id: string, label: string, text: string): void {
    const card = this.#tools.get(id);
    if (card === undefined) return;
    card.classList.remove('is-running');
    card.append(element('dt', {}, label), element('dd', {}, text));
  }

  #wait(text: string): void {
    this.#pending.hidden = false;
    this.#pending.replaceChildren(element('span', { class: 'pulse' }), text);
  }

  #renderFrame(): void {
    const startMs = performance.now();
    if (startMs < this.#restUntilMs) {
      this.#frame = requestAnimationFrame(() => this.#renderFrame());
      return;
    }
    this.#render();
    const endMs = performance.now();
    this.#restUntilMs = endMs + (endMs - startMs) * (1 / RENDER_SHARE - 1);
  }

  #render(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#current?.view.render(this.#current.text);
  }

  #endPart(): void {
    this.#render();
    if (this.#current?.view instanceof ReasoningPane) this.#current.view.finish();
    this.#current = undefined;
  }

  #close(): void {
    this.#endPart();
    this.#pending.remove();
    this.element.setAttribute('aria-busy', 'false');
  }
}
