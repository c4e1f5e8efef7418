import { answerText, endedParts } from '../chats/answer.ts';
import type { Outcome, Part, Turn } from '../chats/chat-record.ts';
import { element, iconButton } from '../element.ts';
import { formatCount, formatSeconds, formatTokensPerSecond } from '../format.ts';
import { texts } from '../language/texts.ts';
import { failureCard, type NextStep } from '../model/failure-card.ts';
import { citedPages } from './citations.ts';
import { copyButton } from './copy-button.ts';
import { MarkdownView } from './markdown.ts';
import { ReasoningPane } from './reasoning-pane.ts';
import { ToolCard } from './tool-card.ts';

/** What a reply can ask the page to do. */
export interface ReplyActions {
  /** Answers the same question again. */
  readonly retry: () => void;
  /** Goes on with the answer. */
  readonly proceed: () => void;
  /** Opens a new chat with all turns up to this one. */
  readonly branch: () => void;
  /** Allows or refuses a tool call. */
  readonly decide: (callId: string, isAllowed: boolean) => void;
  /** Takes a step after a failure. */
  readonly step: (step: NextStep) => void;
}

/** The parts that a reply needs of a turn. */
export type ShownReply = Pick<Turn, 'parts' | 'outcome'>;

type PartView = ReasoningPane | MarkdownView | ToolCard;

/** Rendering takes at most this share of the time: a long answer is shown in fewer, larger steps. */
const RENDER_SHARE = 0.25;

/** One answer: reasoning, tool calls and text in order of arrival, then its buttons and numbers. */
export class ReplyView {
  readonly element: HTMLElement;
  readonly #parts = element('div', { class: 'reply-parts' });
  readonly #pending = element('p', { class: 'pending' });
  readonly #foot = element('div', { class: 'message-foot' });
  readonly #actions: ReplyActions;
  readonly #views: PartView[] = [];
  /** The parts as they are rendered. */
  #rendered: readonly Part[] = [];
  #reply: ShownReply = { parts: [] };
  #isLive = false;
  #frame = 0;
  #restUntilMs = 0;

  constructor(actions: ReplyActions) {
    this.#actions = actions;
    this.element = element(
      'article',
      { class: 'reply', 'aria-label': texts.turn.answer },
      this.#parts,
      this.#pending,
      this.#foot,
    );
  }

  /** The answer as plain text, without Markdown syntax. */
  get spokenAnswer(): string {
    const shown = this.#parts.querySelectorAll('.markdown');
    return Array.from(shown, (text) => text.textContent?.trim()).join('\n');
  }

  /** Shows an answer that is being generated as it is now, in one of the next frames. */
  showLive(reply: ShownReply): void {
    this.#begin();
    this.#reply = reply;
    this.#frame ||= requestAnimationFrame(() => this.#renderFrame());
  }

  /** Shows how far the model has read the prompt. */
  showReading(processedTokens: number, totalTokens: number): void {
    this.#begin();
    const isLong = totalTokens > 256 && processedTokens < totalTokens;
    this.#wait(
      isLong
        ? texts.turn.readingOf(formatCount(processedTokens), formatCount(totalTokens))
        : texts.turn.reading,
    );
  }

  /** Shows an answer that is not being generated here, with its numbers. */
  show(reply: ShownReply): void {
    this.#end(reply);
    this.#showFoot(reply.outcome, factsOf(reply.outcome));
  }

  /** Shows an answer that is being generated in another tab. */
  showElsewhere(reply: ShownReply): void {
    this.#reply = reply;
    this.#isLive = false;
    this.#render();
    this.#wait(texts.turn.elsewhere);
    this.#foot.replaceChildren();
  }

  /** Shows an answer that has just failed, and what to do about it. */
  showFailure(reply: ShownReply, error: unknown): void {
    this.#end(reply);
    this.#parts.append(failureCard(error, this.#actions.step));
    this.#showFoot(reply.outcome, '');
  }

  /** Removes the numbers and buttons of an answer that goes on. */
  #begin(): void {
    if (this.#isLive) return;
    this.#isLive = true;
    this.element.setAttribute('aria-busy', 'true');
    if (this.#foot.hasChildNodes()) this.#foot.replaceChildren();
  }

  #end(reply: ShownReply): void {
    this.#reply = { ...reply, parts: endedParts(reply.parts, texts.turn.stopped) };
    this.#isLive = false;
    this.#render();
    this.#pending.remove();
    this.element.setAttribute('aria-busy', 'false');
  }

  #showFoot(outcome: Outcome | undefined, facts: string): void {
    const { retry, proceed, branch } = this.#actions;
    const { parts } = this.#reply;
    const isCut =
      outcome === undefined || outcome.reason === 'length' || outcome.reason === 'aborted';
    const text = answerText(parts);
    this.#foot.replaceChildren(
      ...(text === '' ? [] : [copyButton(texts.turn.copyAnswer, () => text)]),
      iconButton('retry', texts.turn.answerAgain, retry),
      ...(text === '' ? [] : [iconButton('branch', texts.turn.branch, branch)]),
      ...(isCut && parts.length > 0 ? [iconButton('continue', texts.turn.continue, proceed)] : []),
      element('span', { class: 'facts' }, facts),
    );
  }

  #wait(text: string): void {
    if (!this.#pending.isConnected) this.#foot.before(this.#pending);
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
    const { parts } = this.#reply;
    for (const [index, part] of parts.entries()) {
      const isOpen = this.#isLive && index === parts.length - 1;
      const view = this.#views[index] ?? this.#addView(part, isOpen);
      if (part !== this.#rendered[index]) renderPart(view, part);
      if (view instanceof ReasoningPane && part.kind === 'reasoning' && !isOpen)
        view.finish(part.ms);
    }
    this.#rendered = [...parts];
    const last = parts.at(-1);
    if (!this.#isLive) return;
    if (last === undefined || (last.kind === 'tool' && last.state !== 'asking'))
      this.#wait(texts.turn.reading);
    else this.#pending.remove();
  }

  #addView({ kind }: Part, isOpen: boolean): PartView {
    const view =
      kind === 'reasoning'
        ? new ReasoningPane(isOpen)
        : kind === 'text'
          ? new MarkdownView(() => citedPages(this.#reply.parts))
          : new ToolCard(this.#actions.decide);
    this.#views.push(view);
    this.#parts.append(view.element);
    return view;
  }
}

function renderPart(view: PartView, part: Part): void {
  if (part.kind === 'tool') {
    if (view instanceof ToolCard) view.show(part);
  } else if (!(view instanceof ToolCard)) view.render(part.text);
}

function factsOf(outcome: Outcome | undefined): string {
  if (outcome === undefined) return texts.turn.unfinished;
  const { reason, note, tokens, tokensPerSecond, firstTokenMs } = outcome;
  const endings: Partial<Record<Outcome['reason'], string>> = {
    aborted: texts.turn.stopped,
    length: texts.turn.tokenLimit,
    failed: texts.turn.failed,
  };
  const ending = endings[reason];
  return [
    ending && note ? `${ending}: ${note}` : ending,
    tokens > 0 && texts.turn.tokens(formatCount(tokens)),
    tokens > 1 && formatTokensPerSecond(tokensPerSecond),
    tokens > 0 && texts.turn.firstToken(formatSeconds(firstTokenMs / 1000)),
  ]
    .filter((fact) => typeof fact === 'string')
    .join('\u00a0· '); // no line begins with a dot
}
