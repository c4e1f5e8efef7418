import type { GenerateEvent, GenerateOptions, Message, ModelSession } from 'ossicle';
import { announce } from '../announcer.ts';
import type { ReplyView } from '../answer/reply-view.ts';
import { Answer, outcomeOf, REFUSED } from '../chats/answer.ts';
import type { Part, Turn } from '../chats/chat-record.ts';
import { texts } from '../language/texts.ts';
import type { LoadedModel } from '../model/model-slot.ts';
import { CallCounter, contextAfter, contextTokens } from './conversation.ts';

/** What a generation needs. */
export interface Prepared {
  readonly loaded: LoadedModel;
  readonly session: ModelSession;
  /** The conversation up to the question. */
  readonly history: readonly Message[];
  readonly options: GenerateOptions;
  /** Whether the answer that the session was cut short in goes on. */
  readonly isResumed: boolean;
}

/** What an answer needs of the chat that it is shown in. */
export interface Stage {
  /** Stores the turn of the answer. */
  readonly save: (turn: Turn) => void;
  /** The view of the answer, if it is shown. Another version or chat may be shown meanwhile, and this one again in another view. */
  readonly reply: () => ReplyView | undefined;
  /** Called with each event: from the first on, the session holds the question. */
  readonly onEvent: () => void;
  /** Called with the number of tokens in the conversation. */
  readonly onContext: (tokens: number) => void;
}

const LOOPS = new DOMException(texts.turn.loops, 'AbortError');
/** How often an answer that is being generated is stored. */
const SAVE_MS = 2000;

/** An answer that is being generated. */
export class LiveAnswer {
  readonly #stage: Stage;
  readonly #abort = new AbortController();
  readonly #decisions = new Map<string, (isAllowed: boolean) => void>();
  readonly #before: Turn;
  #answer: Answer;
  /** Messages of the steps before the one that goes on. */
  #earlier: readonly Message[] = [];

  /** @param before the turn as it is before the answer begins or goes on. */
  constructor(before: Turn, stage: Stage) {
    this.#before = before;
    this.#stage = stage;
    this.#answer = new Answer(before.parts);
  }

  /** The turn that it answers. */
  get turnId(): string {
    return this.#before.id;
  }

  /** What has arrived so far. */
  get parts(): readonly Part[] {
    return this.#answer.parts;
  }

  /** The turn as it is now. */
  get turn(): Turn {
    const { outcome: _, ...before } = this.#before;
    return { ...before, parts: [...this.parts] };
  }

  /** Aborted when the answer is stopped. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Stops the answer; what has arrived stays. */
  stop(): void {
    this.#abort.abort();
  }

  /** Allows or refuses a tool call. */
  decide(callId: string, isAllowed: boolean): void {
    this.#decisions.get(callId)?.(isAllowed);
  }

  /** Generates the answer. @returns whether it is whole. */
  async run(prepare: () => Promise<Prepared>): Promise<boolean> {
    const { signal } = this;
    const { reply } = this.#stage;
    try {
      signal.throwIfAborted();
      announce(texts.turn.thinking);
      const prepared = await prepare();
      signal.throwIfAborted();
      return await this.#generate(prepared);
    } catch (error) {
      const note = error instanceof Error ? error.message : String(error);
      const none = { tokens: 0, tokensPerSecond: 0, firstTokenMs: 0 };
      const reason = signal.aborted ? 'aborted' : 'failed';
      const saved = this.#save({
        outcome: { reason, ...(reason === 'failed' && { note }), ...none },
      });
      if (!signal.aborted) reply()?.showFailure(saved, error);
      else {
        reply()?.show(saved);
        announce(texts.turn.stopped);
      }
      return false;
    } finally {
      this.stop(); // ends the generation if the view failed
    }
  }

  async #generate(prepared: Prepared): Promise<boolean> {
    const { loaded, session, history, options, isResumed } = prepared;
    const { reply, onEvent, onContext } = this.#stage;
    const asking = {
      ...options,
      approveToolCall: (call: { readonly id: string }) => this.#approve(call.id),
    };
    if (isResumed) {
      this.#earlier = session.messages.slice(history.length);
      this.#answer = Answer.resumed(this.#before.parts);
    } else this.#answer = new Answer();
    const generation = isResumed ? session.resume(asking) : session.generate(history, asking);
    const calls = new CallCounter();
    let tokens = 0;
    let savedMs = performance.now();
    for await (const event of generation) {
      const nowMs = performance.now();
      onEvent();
      this.#answer.add(event, nowMs);
      if (event.type === 'prefill') this.#showReading(event);
      else reply()?.showLive(this);
      if (event.type === 'tool-call' && calls.add(event)) this.#abort.abort(LOOPS);
      tokens = contextAfter(event, tokens);
      if (tokens > 0) onContext(tokens);
      if (nowMs - savedMs > SAVE_MS) {
        this.#save();
        savedMs = nowMs;
      }
    }
    const result = await generation.result;
    const note = this.signal.reason === LOOPS ? LOOPS.message : undefined;
    const saved = this.#save({
      reply: [...this.#earlier, ...result.messages],
      outcome: outcomeOf(result, note),
    });
    const used = await contextTokens(loaded.model, [...history, ...saved.reply], options);
    reply()?.show(saved);
    const isStopped = result.reason === 'aborted';
    announce(isStopped ? texts.turn.stopped : reply()?.spokenAnswer || texts.turn.noAnswer);
    if (used !== undefined) onContext(used);
    return result.reason === 'stop';
  }

  #save(change: Partial<Turn> = {}): Turn {
    const now = { ...this.turn, ...change };
    this.#stage.save(now);
    return now;
  }

  #showReading({ processedTokens, totalTokens }: Extract<GenerateEvent, { type: 'prefill' }>) {
    this.#stage.reply()?.showReading(processedTokens, totalTokens);
  }

  /** Asks the user about a tool call; no if the answer is stopped meanwhile. */
  async #approve(callId: string): Promise<true | string> {
    this.#answer.setAsking(callId, true);
    this.#stage.reply()?.showLive(this);
    announce(texts.tool.waiting);
    const isAllowed = await new Promise<boolean>((resolve) => {
      this.#decisions.set(callId, resolve);
      this.signal.addEventListener('abort', () => resolve(false), { once: true });
    });
    this.#answer.setAsking(callId, false);
    return isAllowed || REFUSED;
  }
}
