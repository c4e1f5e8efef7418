import { OssicleError } from '../../errors.ts';
import { type BufferPart, copyParts, readBuffer } from '../../gpu/buffers.ts';
import type { Dispatch } from '../../gpu/kernel.ts';
import { limitGrids } from '../../gpu/recorder.ts';
import { KvCache } from '../../model/kv-cache.ts';
import { type Runtime, writeStep } from '../../model/runtime.ts';
import { type SnapshotState, Snapshots } from './snapshots.ts';

/** What is known of a context besides the contents of its buffers. */
export interface ContextState {
  /** All tokens. */
  readonly tokens: readonly number[];
  /** How many tokens have keys and values. */
  readonly evaluated: number;
  /** Positions below this are not in the rings. */
  readonly ringStart: number;
  /** One past the highest position written to the rings. */
  readonly ringEnd: number;
  /** The kept prefixes, shortest first. */
  readonly snapshots: readonly SnapshotState[];
}

/** What has been generated while decoding goes on. */
export interface DecodeProgress {
  /** Generated tokens that belong to the conversation. */
  readonly accepted: readonly number[];
  /** Decode steps submitted. */
  readonly steps: number;
}

/**
 * The tokens of one conversation, with their keys and values. The last tokens may not have been evaluated: the token
 * that ends a generation never is.
 */
export class Context {
  /** All tokens. */
  readonly tokens: number[];
  readonly #runtime: Runtime;
  readonly #kv: KvCache;
  readonly #snapshots: Snapshots;
  /** How many tokens have keys and values. */
  #evaluated: number;
  /** Positions below this are not in the rings, even in a short conversation. */
  #ringStart: number;
  /** One past the highest position written to the rings since a snapshot was last restored. */
  #ringEnd: number;
  /** Where the prompt leaves an earlier one, if much before that must be evaluated again. */
  #branch: number | undefined;
  /** The decode dispatches, for any number of keys and for at most `reach` of them. */
  #decode:
    | {
        readonly layers: KvCache['layers'];
        readonly reach: number;
        readonly all: readonly Dispatch[];
        readonly limited: readonly Dispatch[];
      }
    | undefined;

  /**
   * Await {@link Context.allocated} before use.
   *
   * @param state - Of another context, maybe of another time; the caller fills the {@link Context.parts}. Default: no tokens.
   */
  constructor(runtime: Runtime, state?: ContextState) {
    this.#runtime = runtime;
    const { tokens = [], evaluated = 0, ringStart = 0, ringEnd = 0, snapshots = [] } = state ?? {};
    this.tokens = [...tokens];
    this.#evaluated = evaluated;
    this.#ringStart = ringStart;
    this.#ringEnd = ringEnd;
    this.#kv = new KvCache(runtime.gpu, runtime.config, runtime.shape, evaluated);
    this.#snapshots = new Snapshots(runtime, this.#kv, snapshots);
  }

  /**
   * What a context needs besides {@link Context.parts} to be made again.
   *
   * @param progress - What has been generated, if decoding goes on.
   */
  state({ accepted, steps }: DecodeProgress = { accepted: [], steps: 0 }): ContextState {
    return {
      tokens: [...this.tokens, ...accepted],
      evaluated: this.#evaluated + Math.min(steps, accepted.length),
      ringStart: this.#ringStart,
      ringEnd: Math.max(this.#ringEnd, this.#evaluated + steps),
      snapshots: this.#snapshots.states,
    };
  }

  /** The parts of buffers that hold what a state tells of. Contexts of the same state have parts of the same sizes. */
  parts({ evaluated, ringEnd }: ContextState): BufferPart[] {
    const all = [...this.#kv.parts(evaluated, ringEnd), ...this.#snapshots.parts];
    return all.filter(({ sizeBytes }) => sizeBytes > 0);
  }

  /**
   * A context with copies of the tokens, keys and values.
   *
   * @throws {@link OssicleError} `out-of-memory`.
   */
  async fork(): Promise<Context> {
    const state = this.state();
    const copy = new Context(this.#runtime, state);
    try {
      await copy.allocated();
      copyParts(this.#runtime.gpu, this.parts(state), copy.parts(state));
      return copy;
    } catch (error) {
      copy.dispose();
      throw error;
    }
  }

  /**
   * Resolves when the GPU has allocated the cache.
   *
   * @throws {@link OssicleError} `out-of-memory`.
   */
  async allocated(): Promise<void> {
    await Promise.all([this.#kv.allocated(), this.#snapshots.allocated()]);
  }

  /** How many tokens still fit. */
  get room(): number {
    return this.#runtime.shape.contextLength - this.tokens.length;
  }

  /** How many tokens have keys and values. */
  get evaluated(): number {
    return this.#evaluated;
  }

  /**
   * Cuts the conversation back to the longest prefix that it shares with a prompt, keeping as many keys and values as
   * possible.
   *
   * @returns How many tokens of the prompt need no evaluation: at most all but the last, whose logits are wanted.
   */
  rewind(prompt: ArrayLike<number>): number {
    let shared = 0;
    const most = Math.min(this.tokens.length, prompt.length);
    while (shared < most && this.tokens[shared] === prompt[shared]) shared++;
    this.tokens.length = shared;
    this.#snapshots.drop(shared);
    this.#cutBack(Math.min(this.#evaluated, shared, prompt.length - 1));
    const isFarBack = shared - this.#evaluated > this.#runtime.shape.slidingWindow;
    this.#branch = isFarBack && shared < prompt.length ? shared : undefined;
    return this.#evaluated;
  }

  /** Goes back to `length` evaluated tokens, or to the last snapshot before them if the rings no longer hold them. */
  #cutBack(length: number): void {
    const { slidingWindow, ringCapacity } = this.#runtime.shape;
    const firstNeeded = Math.max(0, length - slidingWindow + 1);
    const isInRings = firstNeeded >= Math.max(this.#ringStart, this.#ringEnd - ringCapacity);
    if (
      length === this.#evaluated ||
      isInRings ||
      !this.#kv.layers.some(({ isSliding }) => isSliding)
    ) {
      this.#evaluated = length;
      return;
    }
    this.#evaluated = this.#snapshots.restore(length);
    this.#ringEnd = this.#evaluated;
    this.#ringStart = Math.max(0, this.#evaluated - slidingWindow + 1);
  }

  /**
   * Appends tokens without evaluating them.
   *
   * @throws {@link OssicleError} `context-overflow` if they do not fit. RangeError if one is not a token id.
   */
  append(tokens: ArrayLike<number>): void {
    this.checkFits(tokens);
    for (let i = 0; i < tokens.length; i++) this.tokens.push(tokens[i] as number);
  }

  /** Throws if {@link Context.append} would. */
  checkFits(tokens: ArrayLike<number>): void {
    const { contextLength, vocabularySize } = this.#runtime.shape;
    if (tokens.length > this.room) {
      throw new OssicleError(
        'context-overflow',
        `${this.tokens.length + tokens.length} tokens do not fit in a context of ${contextLength}. ` +
          'Shorten the conversation, or load the model with a larger contextLength.',
      );
    }
    checkTokens(tokens, vocabularySize);
  }

  /**
   * Makes room for the keys and values of so many tokens.
   *
   * @throws {@link OssicleError} `out-of-memory`; all tokens, keys and values stay.
   */
  async reserve(length: number): Promise<void> {
    if (!this.#kv.hasRoom(length)) await this.#kv.grow(length);
  }

  /** Lets the next {@link Context.prefill} evaluate the last token again, for its logits. */
  reopen(): void {
    this.#cutBack(Math.min(this.#evaluated, this.tokens.length - 1));
  }

  /**
   * Evaluates the remaining tokens, in passes of at most `chunkLength`, and computes the logits after the last one. Takes a
   * snapshot where the prompt leaves an earlier one: others may begin alike, such as contents to judge by one policy.
   *
   * @param onPass - Called after each pass, once the GPU has done the previous one, with the number of evaluated
   * tokens.
   * @param signal - Stops between submits; its reason is thrown.
   */
  async prefill(onPass?: (evaluated: number) => void, signal?: AbortSignal): Promise<void> {
    await this.reserve(this.tokens.length);
    while (this.#evaluated < this.tokens.length) {
      signal?.throwIfAborted();
      this.#evaluated = await this.#runPass({ withLogits: true, signal });
      if (this.#evaluated === this.#branch) await this.#snapshots.take(this.#branch, false);
      onPass?.(this.#evaluated);
    }
    this.#runtime.gpu.check();
  }

  /**
   * Evaluates the remaining tokens and reads the logits of the last ones.
   *
   * @param into - f32 [rows, vocabulary].
   */
  async readLogits(into: Float32Array): Promise<void> {
    const { gpu, scheduler, shape, model, activations } = this.#runtime;
    const { vocabularySize } = shape;
    const firstRow = this.tokens.length - into.length / vocabularySize;
    await this.reserve(this.tokens.length);
    while (this.#evaluated < this.tokens.length) {
      const position = this.#evaluated;
      const count = (await this.#runPass({ withLogits: false })) - position;
      let row = Math.max(firstRow, position);
      while (row < position + count) {
        const batch = Math.min(activations.logitRows, position + count - row);
        writeStep(this.#runtime, position, batch, row - position); // as many tokens as rows of logits
        scheduler.submit('logits', model.unembed(batch), position + count);
        const bytes = await readBuffer(gpu, activations.logits, 0, 4 * batch * vocabularySize);
        into.set(new Float32Array(bytes), (row - firstRow) * vocabularySize);
        row += batch;
      }
      this.#evaluated = position + count;
    }
  }

  /**
   * Lets a later {@link Context.rewind} come back to this point. All tokens must have been evaluated.
   *
   * @param isTurnStart - Whether the first answer of a turn begins here: such points are kept longest.
   */
  takeSnapshot(isTurnStart: boolean): Promise<void> {
    return this.#snapshots.take(this.#evaluated, isTurnStart);
  }

  /**
   * The dispatches that evaluate the last sampled token, up to its logits. The list stays the same until the number of
   * keys has doubled; then attention gets more workgroups, and bindings if the cache has grown. Await
   * {@link Context.reserve} before.
   *
   * @param step - How many generated tokens have been evaluated since the last prefill, this one included.
   */
  decodeDispatches(step: number): readonly Dispatch[] {
    const { model } = this.#runtime;
    const { layers } = this.#kv;
    const reach = 2 ** Math.ceil(Math.log2(this.#evaluated + step));
    if (this.#decode?.layers !== layers || this.#decode.reach !== reach) {
      const all =
        this.#decode?.layers === layers
          ? this.#decode.all
          : [...model.forward(this.#kv, 1), ...model.unembed(1)];
      this.#decode = { layers, reach, all, limited: limitGrids(all, reach) };
    }
    return this.#decode.limited;
  }

  /**
   * Records the outcome of decoding.
   *
   * @param accepted - Generated tokens that belong to the conversation.
   * @param steps - Decode steps submitted. Each evaluated one generated token, maybe one that was not accepted.
   */
  recordDecode(accepted: readonly number[], steps: number): void {
    const before = this.#evaluated;
    for (const token of accepted) this.tokens.push(token);
    this.#ringEnd = Math.max(this.#ringEnd, before + steps);
    this.#evaluated = before + Math.min(steps, accepted.length);
  }

  dispose(): void {
    this.#snapshots.dispose();
    this.#kv.dispose();
  }

  /**
   * Evaluates the next tokens: as many as fit in a chunk, or fewer if one of the dispatches would take too long.
   *
   * @param withLogits - Whether to compute the logits after the last of all tokens.
   * @returns How many tokens have been evaluated.
   */
  async #runPass({
    withLogits,
    signal,
  }: {
    readonly withLogits: boolean;
    readonly signal?: AbortSignal | undefined;
  }): Promise<number> {
    const { gpu, scheduler, shape, model, activations } = this.#runtime;
    const position = this.#evaluated;
    const branch = this.#branch ?? 0;
    const next = position < branch ? branch : this.tokens.length;
    let count = Math.min(shape.chunkLength, next - position);
    let dispatches: readonly Dispatch[];
    for (;;) {
      const keys = position + count;
      dispatches = scheduler.cut(model.forward(this.#kv, count), keys);
      const excess = scheduler.excess(dispatches, keys);
      if (excess <= 1 || count === 1) break;
      count = shorterPass(count, excess);
    }
    const end = position + count;
    gpu.check();
    const tokens = Uint32Array.from(this.tokens.slice(position, end));
    gpu.device.queue.writeBuffer(activations.tokens, 0, tokens);
    writeStep(this.#runtime, position, count, count - 1);
    this.#ringEnd = Math.max(this.#ringEnd, end); // even if the pass is aborted
    const output = withLogits && end === this.tokens.length ? model.unembed(1) : [];
    await scheduler.run('prefill', [...dispatches, ...output], end, signal);
    return end;
  }
}

/** How many tokens a pass should have whose longest dispatch took `excess` times what it may: whole tiles, if possible. */
function shorterPass(count: number, excess: number): number {
  const most = Math.min(count - 1, Math.floor(count / excess));
  const tile = [32, 8, 1].find((tokens) => tokens <= most) ?? 1;
  return Math.max(1, most - (most % tile));
}

/** @throws RangeError if one is not a token id. */
export function checkTokens(tokens: ArrayLike<number>, vocabularySize: number): void {
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as number;
    if (!Number.isInteger(token) || token < 0 || token >= vocabularySize) {
      throw new RangeError(
        `tokens[${i}] is ${token}; ids of this model run from 0 to ${vocabularySize - 1}`,
      );
    }
  }
}
