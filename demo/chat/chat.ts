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
import type { ChatSessions } from './chat-sessions.ts';
import { contextTokens, historyOf, maxTokensToGoOn } from './conversation.ts';
import { generateOptions } from './generate-options.ts';
import { LiveAnswer, type Prepared } from './live-answer.ts';
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
  readonly sessions: ChatSessions;
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

/** An answer that is not stored, and its chat. */
export interface Rescued {
  readonly chatId: string;
  readonly turn: Turn;
}

/** How an answer goes on. */
interface Resumption {
  /** The conversation up to the question. */
  readonly turns: readonly Turn[];
  /** The most tokens that it may have then; may be infinite. */
  readonly maxTokens: number;
}

/** The name of a lock that a tab holds while it answers a turn. */
const lockName = (turnId: string): string => `ossicle.answer ${turnId}`;

/** The chat that is shown, and the answer being generated in it. */
export class Chat {
  readonly #list = find('conversation', HTMLElement);
  readonly #surroundings: ChatSurroundings;
  readonly #library: ChatLibrary;
  #views: TurnView[] = [];
  #id: string;
  #live: LiveAnswer | undefined;
  /** Turns that are being answered in this tab, shown or not, and those in others. */
  readonly #here = new Set<string>();
  readonly #elsewhere = new Set<string>();
  #running: Promise<void> = Promise.resolve();
  /** The turn whose answer is about to go on. */
  #proceeding: string | undefined;

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
    this.#live?.stop();
  }

  /** Stops the current answer; resolves once everything is stored. */
  async end(): Promise<void> {
    this.stop();
    await this.#running;
    await this.#surroundings.sessions.save();
    await this.#library.settled;
  }

  /** The answer that is being generated, as it would be stored now. */
  get unstored(): Rescued | undefined {
    return this.#live && { chatId: this.#id, turn: this.#live.turn };
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

  /** Stops an answer that will not be shown any more. */
  #leave(): void {
    if (this.#live === undefined) return;
    this.stop();
    this.#live = undefined;
    this.#surroundings.onAnswered(false);
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
      const isLive = turn.id === this.#live?.turnId;
      const isElsewhere = this.#elsewhere.has(turn.id);
      view.update(chat, turn, isLive ? 'here' : isElsewhere ? 'elsewhere' : 'nowhere');
      if (turn.outcome === undefined && !isElsewhere) void this.#lookElsewhere(turn.id);
    }
  }

  /** Shows that a turn is being answered in another tab, for as long as it is. */
  async #lookElsewhere(turnId: string): Promise<void> {
    if (this.#here.has(turnId)) return;
    const name = lockName(turnId);
    const { held = [] } = await navigator.locks.query();
    const isThere = held.some((lock) => lock.name === name);
    if (!isThere || this.#here.has(turnId) || this.#elsewhere.has(turnId)) return;
    this.#elsewhere.add(turnId);
    this.#show();
    await navigator.locks.request(name, { mode: 'shared' }, () => undefined);
    this.#elsewhere.delete(turnId);
    this.#show();
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
      proceed: () => void this.#proceed(id),
      branch: () => this.#branch(id),
      decide: (callId, isAllowed) => this.#live?.decide(callId, isAllowed),
    });
    this.#views.push(view);
    this.#list.append(view.element);
    if (this.#live?.turnId === id) view.reply.showLive(this.#live);
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
    const turn: Turn = {
      ...{ id: crypto.randomUUID(), parent, askedAt: Date.now(), parts: [], reply: [] },
      ...{ prompt: question.prompt, files: question.files ?? [] },
      usesTools: question.usesTools ?? false,
    };
    this.#answer(turn);
  }

  /** Goes on with an answer that was cut short: where it stopped if the session still has it, or else by asking for it. */
  async #proceed(turnId: string): Promise<void> {
    if (this.#proceeding === turnId) return;
    this.#proceeding = turnId;
    const chatId = this.#id;
    const view = this.#views.find(({ id }) => id === turnId);
    this.stop();
    view?.reply.showReading(0, 0);
    await this.#running;
    const resumption = await this.#resumption(turnId).catch(() => undefined);
    this.#proceeding = undefined;
    const path = this.#id === chatId ? pathOf(this.record) : [];
    const turn = path.find(({ id }) => id === turnId);
    // Meanwhile, another chat or version may have been opened, or something else been asked.
    const isFree = turn !== undefined && this.#live === undefined;
    if (isFree && resumption && turn === path.at(-1)) return this.#answer(turn, resumption);
    if (turn && this.#live?.turnId !== turnId) view?.reply.show(turn);
    if (!isFree) return;
    // Reasoning is not sent back to the model, so there is nothing to go on from: the question is asked again.
    if (turn.parts.every(({ kind }) => kind === 'reasoning')) this.#ask(turn, turn.parent);
    else this.#ask({ prompt: texts.turn.continuePrompt, usesTools: turn.usesTools }, turnId);
  }

  /** How the last answer goes on where it was cut short; `undefined` if it cannot. */
  async #resumption(turnId: string): Promise<Resumption | undefined> {
    const path = pathOf(this.record);
    const turn = path.at(-1);
    const loaded = this.#surroundings.model();
    if (turn?.id !== turnId || loaded === undefined) return undefined;
    const turns = [...path.slice(0, -1), { ...turn, parts: [], reply: [] }];
    const { session, history, options } = await this.#open(loaded, turns);
    if (!this.#surroundings.sessions.canResume(turnId, history)) return undefined;
    const used = await contextTokens(loaded.model, session.messages, options);
    if (used === undefined) return undefined;
    const room = loaded.model.info.contextLength - used;
    const maxTokens = maxTokensToGoOn(turn.outcome, options.maxTokens, room);
    return maxTokens === undefined ? undefined : { turns, maxTokens };
  }

  /** @param resumed how its answer goes on, if it does. */
  #answer(turn: Turn, resumed?: Resumption): void {
    this.stop();
    const chatId = this.#id;
    const view = (): TurnView | undefined => this.#views.find(({ id }) => id === turn.id);
    const live = new LiveAnswer(turn, {
      save: (now) => this.#library.change(chatId, (chat) => withTurn(chat, now)),
      reply: () => view()?.reply,
      onEvent: () => this.#surroundings.sessions.answers(turn.id),
      onContext: (tokens) => {
        if (this.#views.at(-1)?.id === turn.id) this.#surroundings.onContext(tokens);
      },
    });
    this.#live = live;
    this.#here.add(turn.id);
    this.#library.change(chatId, (chat) => withTurn(chat, live.turn));
    this.#surroundings.onChange();
    this.#views.at(-1)?.element.scrollIntoView({ block: 'end' });
    find('prompt', HTMLTextAreaElement).focus({ preventScroll: true });
    const turns = resumed?.turns ?? pathOf(this.record);
    const prepare = async (): Promise<Prepared> => {
      const loaded = this.#surroundings.model();
      if (loaded === undefined) throw new Error(texts.turn.noModel);
      const opened = await this.#open(loaded, turns, live.signal, chatId);
      const { maxTokens = Infinity } = resumed ?? opened.options;
      const options = { ...opened.options, ...(maxTokens < Infinity && { maxTokens }) };
      return { loaded, ...opened, options, isResumed: resumed !== undefined };
    };
    const run = async (): Promise<void> => {
      const { sessions, onChange, onAnswered } = this.#surroundings;
      let isWhole = false;
      try {
        sessions.wait();
        isWhole = await navigator.locks.request(lockName(turn.id), () => live.run(prepare));
      } finally {
        this.#here.delete(turn.id);
        sessions.saveSoon();
        if (this.#live === live) {
          this.#live = undefined;
          onChange();
          onAnswered(isWhole);
        }
      }
    };
    // A turn that fails must not keep the next one from running.
    this.#running = this.#running.then(run).catch(reportError);
  }

  /** The session that answers in a chat, with the messages to generate from and the options. */
  async #open(
    loaded: LoadedModel,
    turns: readonly Turn[],
    signal?: AbortSignal,
    chatId = this.#id,
  ): Promise<Omit<Prepared, 'loaded' | 'isResumed'>> {
    const prepared = this.#prepare(loaded, turns, signal);
    const { model } = loaded;
    const session = await this.#surroundings.sessions.open(model, chatId, prepared.history);
    return { session, ...prepared };
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
}
