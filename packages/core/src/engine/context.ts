import { OssicleError } from '../errors.ts';
import { Buffers, readBuffer } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { limitGrids, submit } from '../gpu/recorder.ts';
import { createKvCache, type KvCache } from '../model/state.ts';
import { type Runtime, submitInParts, writeStep } from './runtime.ts';
import { Snapshots } from './snapshots.ts';

/**
 * The tokens of one conversation and their keys and values. The last tokens may not be evaluated yet, as the token that
 * ends a generation is not.
 */
export class Context {
  /** All tokens. */
  readonly tokens: number[] = [];
  readonly #runtime: Runtime;
  readonly #buffers: Buffers;
  readonly #kv: KvCache;
  readonly #snapshots: Snapshots;
  /** How many tokens have keys and values. */
  #evaluated = 0;
  /** Positions below this are not in the rings, however short the conversation is. */
  #ringStart = 0;
  /** One past the highest position that was ever written to the rings since they were filled from their start. */
  #ringEnd = 0;
  /** Decode dispatches for any number of keys, and for up to `reach` of them. */
  #decode:
    | {
        readonly reach: number;
        readonly all: readonly Dispatch[];
        readonly limited: readonly Dispatch[];
      }
    | undefined;

  /** Call {@link Context.allocated} before use. */
  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#buffers = new Buffers(runtime.gpu, 'session');
    this.#kv = createKvCache(this.#buffers, runtime.config, runtime.shape);
    this.#snapshots = new Snapshots(runtime, this.#kv);
  }

  /** Resolves when the GPU has given the cache its memory. @throws {@link OssicleError} `out-of-memory`. */
  allocated(): Promise<void> {
    return this.#buffers.allocated();
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
   * Makes the conversation begin as a prompt does, keeping as many keys and values as can be.
   *
   * @returns How many tokens of the prompt need no evaluation: all but the last at most, whose logits are wanted.
   */
  rewind(prompt: ArrayLike<number>): number {
    let shared = 0;
    const most = Math.min(this.tokens.length, prompt.length);
    while (shared < most && this.tokens[shared] === prompt[shared]) shared++;
    this.tokens.length = shared;
    this.#snapshots.drop(shared);
    this.#cutBack(Math.min(this.#evaluated, shared, prompt.length - 1));
    return this.#evaluated;
  }

  /** Goes back to `length` evaluated tokens, or to the last snapshot before where the rings have forgotten them. */
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
   * Appends tokens, without evaluating them.
   *
   * @throws {@link OssicleError} `context-overflow` where they do not fit. RangeError where one is no token's id.
   */
  append(tokens: ArrayLike<number>): void {
    this.checkFits(tokens);
    for (let i = 0; i < tokens.length; i++) this.tokens.push(tokens[i] as number);
  }

  /** Throws what {@link Context.append} would throw. */
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
   * Evaluates the tokens that are not yet, in passes of at most `chunkLength`.
   *
   * @param afterPass - What to submit after the last pass, when the step's output row is the last token.
   * @param onPass - Called after each pass with the number of tokens evaluated, once the GPU has done the pass before.
   * @param signal - Stops between passes, by throwing its reason.
   */
  async prefill(
    afterPass: () => Dispatch[],
    onPass?: (evaluated: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const { gpu } = this.#runtime;
    let previous: Promise<unknown> = Promise.resolve();
    while (this.#evaluated < this.tokens.length) {
      signal?.throwIfAborted();
      const count = this.#submitPass();
      if (this.#evaluated + count === this.tokens.length) submit(gpu, afterPass());
      const done = gpu.device.queue.onSubmittedWorkDone();
      await gpu.settle(previous);
      previous = done;
      this.#setEvaluated(this.#evaluated + count);
      onPass?.(this.#evaluated);
    }
    gpu.check();
  }

  /**
   * Evaluates the tokens that are not yet, and reads the logits of the last ones.
   *
   * @param into - f32 [rows, vocabulary].
   */
  async readLogits(into: Float32Array): Promise<void> {
    const { gpu, shape, model, activations } = this.#runtime;
    const { vocabularySize } = shape;
    const firstRow = this.tokens.length - into.length / vocabularySize;
    while (this.#evaluated < this.tokens.length) {
      const position = this.#evaluated;
      const count = this.#submitPass();
      let row = Math.max(firstRow, position);
      while (row < position + count) {
        const batch = Math.min(activations.logitRows, position + count - row);
        writeStep(this.#runtime, position, count, row - position);
        submit(gpu, model.unembed(batch));
        const bytes = await readBuffer(gpu, activations.logits, 0, 4 * batch * vocabularySize);
        into.set(new Float32Array(bytes), (row - firstRow) * vocabularySize);
        row += batch;
      }
      this.#setEvaluated(position + count);
    }
  }

  /** Makes it possible to come back here when the conversation goes another way. All tokens must be evaluated. */
  takeSnapshot(): Promise<void> {
    return this.#snapshots.take(this.#evaluated);
  }

  /**
   * The dispatches that evaluate the token which the last sampling chose, up to its logits. They stay the same until the
   * keys have doubled; then only workgroups of attention are added.
   *
   * @param step - How many generated tokens are evaluated with this one, since the last prefill.
   */
  decodeDispatches(step: number): readonly Dispatch[] {
    const { model } = this.#runtime;
    const reach = 2 ** Math.ceil(Math.log2(this.#evaluated + step));
    if (this.#decode?.reach !== reach) {
      const all = this.#decode?.all ?? [...model.forward(this.#kv, 1), ...model.unembed(1)];
      this.#decode = { reach, all, limited: limitGrids(all, reach) };
    }
    return this.#decode.limited;
  }

  /**
   * Records what decoding has done.
   *
   * @param accepted - Generated tokens that belong to the conversation.
   * @param steps - Decode steps submitted, each of which evaluated one generated token; some may be beyond `accepted`.
   */
  recordDecode(accepted: readonly number[], steps: number): void {
    const before = this.#evaluated;
    for (const token of accepted) this.tokens.push(token);
    this.#ringEnd = Math.max(this.#ringEnd, before + steps);
    this.#evaluated = before + Math.min(steps, accepted.length);
  }

  dispose(): void {
    this.#snapshots.dispose();
    this.#buffers.dispose();
  }

  #submitPass(): number {
    const { gpu, shape, model, activations } = this.#runtime;
    const position = this.#evaluated;
    const pass = this.tokens.slice(position, position + shape.chunkLength);
    gpu.check();
    gpu.device.queue.writeBuffer(activations.tokens, 0, Uint32Array.from(pass));
    writeStep(this.#runtime, position, pass.length, pass.length - 1);
    submitInParts(gpu, model.forward(this.#kv, pass.length));
    return pass.length;
  }

  #setEvaluated(length: number): void {
    this.#evaluated = length;
    this.#ringEnd = Math.max(this.#ringEnd, length);
  }
}

/** @throws RangeError where one is no token's id. */
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
