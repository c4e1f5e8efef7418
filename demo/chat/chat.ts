import { announce } from '../announcer.ts';
import type { ReplyView } from '../answer/reply-view.ts';
import { Answer, outcomeOf } from '../chats/answer.ts';
import type { ChatLibrary } from '../chats/chat-library.ts';
import {
  type AttachedFile,
  branchOf,
  type ChatRecord,
  newChat,
  pathOf,
  type Turn,
  versionsOf,
  withTurn,
  withVersion,
} from '../chats/chat-record.ts';
import { find } from '../element.ts';
import { texts } from '../language/texts.ts';
import type { NextStep } from '../model/failure-card.ts';
import type { LoadedModel } from '../model/model-slot.ts';
import type { Settings } from '../settings.ts';
import { CallCounter, contextAfter, contextTokens, historyOf } from './conversation.ts';
import { generateOptions } from './generate-options.ts';
import { TurnView } from './turn-view.ts';

/** A question to ask. */
export interface Question {
  readonly prompt: string;
  readonly files?: readonly AttachedFile[];
  /** Whether it needs the tools, whatever the settings say. */
  readonly usesTools?: boolean;
}

/** What a chat needs from the page around it. */
export interface ChatSurroundings {
  readonly library: ChatLibrary;
  /** The model that answers, if one is loaded. */
  readonly model: () => LoadedModel | undefined;
  /** The current settings. */
  readonly settings: () => Settings;
  /** Called when an answer starts or ends, and when another chat is shown. */
  readonly onChange: () => void;
  /** Called when an answer has ended, with whether it is whole. */
  readonly onAnswered: (isWhole: boolean) => void;
  /** Called with the number of tokens in the conversation; `undefined` if it is unknown. */
  readonly onContext: (tokens: number | undefined) => void;
  /** Called for a next step after a failure that the chat cannot take itself. */
  readonly onStep: (step: NextStep, retry: () => void) => void;
}

/** The answer being generated. */
interface Live {
  readonly chatId: string;
  readonly turnId: string;
  readonly answer: Answer;
  readonly abort: AbortController;
  readonly decisions: Map<string, (isAllowed: boolean) => void>;
}

const LOOPS = new DOMException(texts.turn.loops, 'AbortError');
/** How often an answer that is being generated is stored. */
const SAVE_MS = 2000;

/** The chat that is shown, and the answer being generated in it. */
export class Chat {
  readonly #list = find('conversation', HTMLElement);
  readonly #surroundings: ChatSurroundings;
  readonly #library: ChatLibrary;
  #views: TurnView[] = [];
  #id: string;
  #live: Live | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(surroundings: ChatSurroundings) {
    this.#surroundings = surroundings;
    this.#library = surroundings.library;
    this.#id = this.#addNew();
    this.#library.subscribe(() => this.#show());
  }

  /** The chat that is shown. */
  get record(): ChatRecord {
    return this.#library.get(this.#id) ?? newChat();
  }

  /** Whether the conversation has no turns. */
  get isEmpty(): boolean {
    return this.record.turns.length === 0;
  }

  /** Whether an answer is being generated. */
  get isGenerating(): boolean {
    return this.#live !== undefined;
  }

  /** Shows another chat; stops the answer being generated. */
  open(id: string): void {
    if (id === this.#id || this.#library.get(id) === undefined) return;
    this.#leave();
    this.#id = id;
    this.#show();
    this.#views.at(-1)?.element.scrollIntoView({ block: 'end' });
    this.#surroundings.onContext(undefined);
    void this.#countContext();
    this.#surroundings.onChange();
  }

  /** Shows a chat without turns. */
  startNew(): void {
    this.#leave();
    if (!this.isEmpty) this.#id = this.#addNew();
    this.#show();
    this.#surroundings.onContext(0);
    this.#surroundings.onChange();
  }

  /** Asks a question at the end of the conversation. */
  ask(question: Question): void {
    this.#ask(question, this.record.leaf);
  }

  /** Answers the last question again. */
  retryLast(): void {
    const last = pathOf(this.record).at(-1);
    if (last) this.#ask(last, last.parent);
  }

  /** Stops the current answer and keeps what it has so far. */
  stop(): void {
    this.#live?.abort.abort();
  }

  /** Counts the tokens of the conversation as the model in use counts them. */
  async #countContext(): Promise<void> {
    const loaded = this.#surroundings.model();
    const { record } = this;
    if (loaded === undefined || this.isGenerating) return;
    if (this.isEmpty) return this.#surroundings.onContext(0);
    const { history, options } = this.#prepare(loaded, pathOf(record));
    const tokens = await contextTokens(loaded.model, history, options);
    if (tokens !== undefined && !this.isGenerating && record.id === this.#id)
      this.#surroundings.onContext(tokens);
  }

  /** Tells the number of tokens after another model was loaded. */
  recount(): void {
    void this.#countContext();
  }

  #addNew(): string {
    const chat = newChat();
    this.#library.add(chat);
    return chat.id;
  }

  #leave(): void {
    this.stop();
    this.#live = undefined;
  }

  /** Makes the views those of the turns that are shown. */
  #show(): void {
    if (this.#library.get(this.#id) === undefined) {
      // Deleted here or in another tab.
      this.#leave();
      const [latest] = this.#library.list;
      this.#id = latest?.id ?? this.#addNew();
      this.#surroundings.onContext(undefined);
      this.#surroundings.onChange();
      void this.#countContext();
    }
    const chat = this.record;
    const path = pathOf(chat);
    let kept = 0;
    while (kept < path.length && this.#views[kept]?.id === path[kept]?.id) kept++;
    for (const view of this.#views.splice(kept)) view.element.remove();
    for (const [index, turn] of path.entries()) {
      const view = this.#views[index] ?? this.#addView(turn);
      view.update(chat, turn, turn.id === this.#live?.turnId);
    }
  }

  #addView(turn: Turn): TurnView {
    const { id, parent, usesTools, files } = turn;
    const retry = (): void => this.#ask(turn, parent);
    const view = new TurnView(turn, {
      retry,
      ask: (prompt) => this.#ask({ prompt, files, usesTools }, parent),
      showVersion: (by) => this.#showVersion(turn, by),
      step: (step) =>
        step === 'new-chat' ? this.startNew() : this.#surroundings.onStep(step, retry),
      proceed: () => this.#ask({ prompt: texts.turn.continuePrompt, usesTools }, id),
      branch: () => this.#branch(id),
      decide: (callId, isAllowed) => this.#live?.decisions.get(callId)?.(isAllowed),
    });
    this.#views.push(view);
    this.#list.append(view.element);
    if (this.#live?.turnId === id) view.reply.showLive(this.#live.answer);
    return view;
  }

  #showVersion(turn: Turn, by: -1 | 1): void {
    const versions = versionsOf(this.record, turn);
    const other = versions[versions.findIndex(({ id }) => id === turn.id) + by];
    if (other === undefined) return;
    this.#leave();
    this.#library.change(this.#id, (chat) => withVersion(chat, other.id));
    const [shown] = this.#views.slice(pathOf(this.record).findIndex(({ id }) => id === other.id));
    shown?.element.querySelector<HTMLElement>('.versions button:not(:disabled)')?.focus();
    this.#surroundings.onChange();
    void this.#countContext();
  }

  #branch(turnId: string): void {
    const branch = branchOf(this.record, turnId);
    this.#library.add(branch);
    this.open(branch.id);
  }

  /** Asks a question after the turn `parent`: a version beside those that it already has. */
  #ask(question: Question, parent: string | null): void {
    this.stop();
    const turn: Turn = {
      ...{ id: crypto.randomUUID(), parent, askedAt: Date.now(), parts: [], reply: [] },
      ...{ prompt: question.prompt, files: question.files ?? [] },
      usesTools: question.usesTools ?? false,
    };
    const live: Live = {
      ...{ chatId: this.#id, turnId: turn.id },
      ...{ answer: new Answer(), abort: new AbortController(), decisions: new Map() },
    };
    this.#live = live;
    this.#library.change(this.#id, (chat) => withTurn(chat, turn));
    this.#surroundings.onChange();
    this.#views.at(-1)?.element.scrollIntoView({ block: 'end' });
    find('prompt', HTMLTextAreaElement).focus({ preventScroll: true });
    const turns = pathOf(this.record);
    // A turn that fails must not keep the next one from running.
    this.#running = this.#running.then(() => this.#answer(turn, turns, live)).catch(reportError);
  }

  #prepare(loaded: LoadedModel, turns: readonly Turn[], signal?: AbortSignal) {
    const chosen = this.#surroundings.settings();
    const usesTools = chosen.usesTools || turns.at(-1)?.usesTools === true;
    const instructions = [chosen.instructions, this.record.instructions]
      .map((text) => text.trim())
      .filter(Boolean)
      .join('\n\n');
    const settings = { ...chosen, usesTools, instructions };
    return {
      history: historyOf(turns, usesTools),
      options: generateOptions(settings, loaded.checkpoint, signal),
    };
  }

  async #answer(turn: Turn, turns: readonly Turn[], live: Live): Promise<void> {
    const { model, onChange, onAnswered, onContext } = this.#surroundings;
    const { abort, answer, chatId } = live;
    const save = (change: Partial<Turn> = {}): Turn => {
      const now = { ...turn, parts: [...answer.parts], ...change };
      this.#library.change(chatId, (chat) => withTurn(chat, now));
      return now;
    };
    // Looked up each time: another version or chat may be shown meanwhile, and this one again in another view.
    const reply = (): ReplyView | undefined => this.#views.find(({ id }) => id === turn.id)?.reply;
    const isShown = (): boolean => this.#views.at(-1)?.id === turn.id;
    let isWhole = false;
    try {
      abort.signal.throwIfAborted();
      const loaded = model();
      if (loaded === undefined) throw new Error(texts.turn.noModel);
      announce(texts.turn.thinking);
      const { history, options } = this.#prepare(loaded, turns, abort.signal);
      const generation = loaded.model.generate(history, {
        ...options,
        approveToolCall: async ({ id }) => {
          answer.setAsking(id, true);
          reply()?.showLive(answer);
          announce(texts.tool.waiting);
          const isAllowed = await decision(live, id);
          answer.setAsking(id, false);
          return isAllowed || texts.tool.refused;
        },
      });
      const calls = new CallCounter();
      let tokens = 0;
      let savedMs = performance.now();
      for await (const event of generation) {
        const nowMs = performance.now();
        answer.add(event, nowMs);
        if (event.type === 'prefill')
          reply()?.showReading(event.processedTokens, event.totalTokens);
        else reply()?.showLive(answer);
        if (event.type === 'tool-call' && calls.add(event)) abort.abort(LOOPS);
        tokens = contextAfter(event, tokens);
        if (tokens > 0 && isShown()) onContext(tokens);
        if (nowMs - savedMs > SAVE_MS) {
          save();
          savedMs = nowMs;
        }
      }
      const result = await generation.result;
      const note = abort.signal.reason === LOOPS ? LOOPS.message : undefined;
      const saved = save({ reply: result.messages, outcome: outcomeOf(result, note) });
      const used = await contextTokens(loaded.model, [...history, ...saved.reply], options);
      reply()?.show(saved);
      isWhole = result.reason === 'stop';
      announce(
        result.reason === 'aborted'
          ? texts.turn.stopped
          : reply()?.spokenAnswer || texts.turn.noAnswer,
      );
      if (used !== undefined && isShown()) onContext(used);
    } catch (error) {
      const isStopped = abort.signal.aborted;
      const note = error instanceof Error ? error.message : String(error);
      const none = { tokens: 0, tokensPerSecond: 0, firstTokenMs: 0 };
      const saved = save({
        outcome: isStopped ? { reason: 'aborted', ...none } : { reason: 'failed', note, ...none },
      });
      if (isStopped) {
        reply()?.show(saved);
        announce(texts.turn.stopped);
      } else reply()?.showFailure(saved, error);
    } finally {
      abort.abort(); // ends the generation if the view failed
      if (this.#live === live) {
        this.#live = undefined;
        onChange();
        onAnswered(isWhole);
      }
    }
  }
}

/** What the user decides about a tool call; no if the answer is stopped meanwhile. */
function decision({ decisions, abort }: Live, callId: string): Promise<boolean> {
  return new Promise((resolve) => {
    decisions.set(callId, resolve);
    abort.signal.addEventListener('abort', () => resolve(false), { once: true });
  });
}
