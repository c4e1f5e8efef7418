import { announce } from '../announcer.ts';
import { element, find } from '../element.ts';
import type { NextStep } from '../model/failure-card.ts';
import type { LoadedModel } from '../model/model-slot.ts';
import type { Settings } from '../settings.ts';
import { CallCounter, contextAfter, contextTokens, historyOf, type Turn } from './conversation.ts';
import { generateOptions } from './generate-options.ts';
import { PromptView } from './prompt-view.ts';
import { ReplyView } from './reply-view.ts';

interface ShownTurn {
  readonly turn: Turn;
  readonly element: HTMLElement;
}

const LOOPS = new DOMException('The model repeats a tool call.', 'AbortError');

/** What a chat needs from the page around it. */
export interface ChatSurroundings {
  /** The model that answers, if one is loaded. */
  readonly model: () => LoadedModel | undefined;
  /** The current settings. */
  readonly settings: () => Settings;
  /** Called when an answer starts or ends and when the conversation is cleared. */
  readonly onChange: () => void;
  /** Called with the number of tokens in the conversation. */
  readonly onContext: (tokens: number) => void;
  /** Called for a next step after a failure that the chat cannot take itself. */
  readonly onStep: (step: NextStep, retry: () => void) => void;
}

/** The conversation: its turns and the answer being generated. */
export class Chat {
  readonly #list = find('conversation', HTMLElement);
  readonly #surroundings: ChatSurroundings;
  #turns: ShownTurn[] = [];
  #abort: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(surroundings: ChatSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Whether the conversation has no turns. */
  get isEmpty(): boolean {
    return this.#turns.length === 0;
  }

  /** Whether an answer is being generated. */
  get isGenerating(): boolean {
    return this.#abort !== undefined;
  }

  /**
   * Asks a question at the end of the conversation.
   *
   * @param usesTools whether this question needs the tools, whatever the settings say.
   */
  ask(prompt: string, usesTools = false): void {
    this.#askAt(this.#turns.length, prompt, usesTools);
  }

  /** Stops the current answer and keeps what it has so far. */
  stop(): void {
    this.#abort?.abort();
  }

  /** Removes all turns. */
  clear(): void {
    this.#truncate(0);
    this.#surroundings.onContext(0);
    this.#surroundings.onChange();
  }

  /** Replaces the turn at `index` and all later ones with a new question. */
  #askAt(index: number, prompt: string, usesTools: boolean): void {
    const { onChange, onStep } = this.#surroundings;
    this.#truncate(index);
    const turn: Turn = { prompt, usesTools, reply: [] };
    const retry = (): void => this.#askAt(index, prompt, usesTools);
    const view = new ReplyView({
      retry,
      step: (step) => (step === 'new-chat' ? this.clear() : onStep(step, retry)),
    });
    const question = new PromptView(prompt, (edited) => this.#askAt(index, edited, usesTools));
    const shown = element('div', { class: 'turn' }, question.element, view.element);
    this.#turns.push({ turn, element: shown });
    this.#list.append(shown);
    const abort = new AbortController();
    this.#abort = abort;
    onChange();
    shown.scrollIntoView({ block: 'end' });
    find('prompt', HTMLTextAreaElement).focus({ preventScroll: true });
    const turns = this.#turns.map(({ turn: earlier }) => earlier);
    // A turn that fails must not keep the next one from running.
    this.#running = this.#running
      .then(() => this.#answer(turn, turns, view, abort))
      .catch(reportError);
  }

  async #answer(
    turn: Turn,
    turns: readonly Turn[],
    view: ReplyView,
    abort: AbortController,
  ): Promise<void> {
    const { model, settings, onChange, onContext } = this.#surroundings;
    try {
      abort.signal.throwIfAborted();
      const loaded = model();
      if (loaded === undefined) throw new Error('No model is loaded. Choose one first.');
      announce('Thinking');
      const chosen = settings();
      const usesTools = chosen.usesTools || turn.usesTools;
      const history = historyOf(turns, usesTools);
      const options = generateOptions({ ...chosen, usesTools }, loaded.checkpoint, abort.signal);
      const generation = loaded.model.generate(history, options);
      const calls = new CallCounter();
      let tokens = 0;
      for await (const event of generation) {
        view.show(event);
        if (event.type === 'tool-call' && calls.add(event)) abort.abort(LOOPS);
        tokens = contextAfter(event, tokens);
        if (tokens > 0 && this.#isLast(turn)) onContext(tokens);
      }
      const result = await generation.result;
      turn.reply = result.messages;
      const used = await contextTokens(loaded.model, [...history, ...turn.reply], options);
      view.finish(result, abort.signal.reason === LOOPS ? LOOPS.message : undefined);
      announce(
        result.reason === 'aborted' ? 'Stopped' : view.spokenAnswer || 'The model gave no answer.',
      );
      if (used !== undefined && this.#isLast(turn)) onContext(used);
    } catch (error) {
      if (abort.signal.aborted) {
        view.stop();
        announce('Stopped');
      } else view.fail(error);
    } finally {
      abort.abort(); // ends the generation if the view failed
      if (this.#abort === abort) {
        this.#abort = undefined;
        onChange();
      }
    }
  }

  #isLast(turn: Turn): boolean {
    return this.#turns.at(-1)?.turn === turn;
  }

  #truncate(length: number): void {
    this.#abort?.abort();
    this.#abort = undefined;
    for (const { element: shown } of this.#turns.splice(length)) shown.remove();
  }
}
