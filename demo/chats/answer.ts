import type { GenerateEvent, GenerateResult, Message } from 'ossicle';
import type { Outcome, Part, ToolPart } from './chat-record.ts';

/** Collects the events of a generation as the parts of an answer. */
export class Answer {
  readonly #parts: Part[];
  #reasoningSinceMs = 0;
  /** Calls that wait for approval; the question may come before the event of the call. */
  readonly #asking = new Set<string>();
  /** What had arrived before the answer was resumed. */
  #before: readonly Part[] = [];

  /** @param parts what has arrived before. */
  constructor(parts: readonly Part[] = []) {
    this.#parts = [...parts];
  }

  /**
   * An answer that was cut short and goes on. The events of its last step, the one after the results of tools, come again.
   */
  static resumed(before: readonly Part[]): Answer {
    const steps =
      before.findLastIndex((part) => part.kind === 'tool' && part.output !== undefined) + 1;
    const answer = new Answer(before.slice(0, steps));
    answer.#before = before;
    return answer;
  }

  /** What has arrived so far; while it comes again, what had arrived before. */
  get parts(): readonly Part[] {
    return lengthOf(this.#parts) < lengthOf(this.#before) ? this.#before : this.#parts;
  }

  /** Adds an event that arrives at `nowMs`. */
  add(event: GenerateEvent, nowMs: number): void {
    if (event.type === 'reasoning-delta' || event.type === 'text-delta')
      this.#addText(event, nowMs);
    else if (event.type === 'tool-call') {
      const { id, name, input, inputText } = event;
      const text = input === undefined ? inputText : JSON.stringify(input);
      const state = this.#asking.has(id) ? 'asking' : 'running';
      this.#parts.push({ kind: 'tool', id, name, input: text, state });
    } else if (event.type === 'tool-result')
      this.#setTool(event.id, { state: 'done', output: textOf(event.output) });
    else if (event.type === 'tool-error')
      this.#setTool(event.id, { state: 'failed', output: event.error });
  }

  /** Marks a call as waiting for the user, or not any more. */
  setAsking(id: string, isAsking: boolean): void {
    if (isAsking) this.#asking.add(id);
    else this.#asking.delete(id);
    this.#setTool(id, { state: isAsking ? 'asking' : 'running' });
  }

  #addText(
    { type, text }: Extract<GenerateEvent, { type: 'reasoning-delta' | 'text-delta' }>,
    nowMs: number,
  ): void {
    const last = this.#parts.at(-1);
    const kind = type === 'text-delta' ? 'text' : 'reasoning';
    if (last?.kind === 'reasoning') {
      // It has ended if text arrives, but that took as long.
      const ms = nowMs - this.#reasoningSinceMs + this.#msBefore(this.#parts.length - 1);
      this.#replaceLast({ ...last, ms, text: kind === 'text' ? last.text : last.text + text });
      if (kind === 'reasoning') return;
    } else if (last?.kind === 'text' && kind === 'text') {
      this.#replaceLast({ kind, text: last.text + text });
      return;
    }
    if (kind === 'text') this.#parts.push({ kind, text });
    else {
      this.#reasoningSinceMs = nowMs;
      this.#parts.push({ kind, text, ms: 0 });
    }
  }

  /** How long a piece of reasoning took until the answer was cut short: when it comes again, it takes no time. */
  #msBefore(index: number): number {
    const part = this.#before[index];
    return part?.kind === 'reasoning' ? part.ms : 0;
  }

  #replaceLast(part: Part): void {
    this.#parts[this.#parts.length - 1] = part;
  }

  #setTool(id: string, change: Pick<ToolPart, 'state' | 'output'>): void {
    const index = this.#parts.findIndex((part) => part.kind === 'tool' && part.id === id);
    const part = this.#parts[index];
    if (part?.kind === 'tool') this.#parts[index] = { ...part, ...change };
  }
}

/** What the model is told of a call that the user refuses, in any language. */
export const REFUSED = 'The user refused this call.';

/** The length of all texts. */
function lengthOf(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + (part.kind === 'tool' ? 0 : part.text.length), 0);
}

const textOf = (output: unknown): string => JSON.stringify(output) ?? '';

/** How a generation ended. */
export function outcomeOf({ reason, usage, timings }: GenerateResult, note?: string): Outcome {
  return {
    reason,
    ...(note !== undefined && { note }),
    tokens: usage.completionTokens,
    tokensPerSecond: timings.decodeTokensPerSecond,
    firstTokenMs: timings.timeToFirstTokenMs,
  };
}

/** The messages of an answer that has none because the page was closed while it was generated: its texts. */
export function messagesOf(parts: readonly Part[]): readonly Message[] {
  return parts.flatMap((part): Message[] =>
    part.kind === 'text' ? [{ role: 'assistant', channel: 'final', content: part.text }] : [],
  );
}

/** The parts of an answer that is not being generated: its calls that have no result get none any more, for this reason. */
export function endedParts(parts: readonly Part[], reason: string): readonly Part[] {
  return parts.map((part) =>
    part.kind === 'tool' && (part.state === 'asking' || part.state === 'running')
      ? { ...part, state: 'stopped', output: reason }
      : part,
  );
}

/** The text of an answer, without reasoning and tools. */
export function answerText(parts: readonly Part[]): string {
  return parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('\n\n');
}
