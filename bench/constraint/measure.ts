import type {
  Constraint,
  Guide,
  Mask,
} from '../../packages/core/src/engine/constraint/constraint.ts';
import { samplingOptions } from '../../packages/core/src/engine/control/sampling-options.ts';
import { Context } from '../../packages/core/src/engine/conversation/context.ts';
import { Decoder } from '../../packages/core/src/engine/decoder.ts';
import { requestDevice } from '../../packages/core/src/engine/index.ts';
import { CheckpointTokenizer } from '../../packages/core/src/engine/tokenizer.ts';
import { summarizeAdapter } from '../../packages/core/src/gpu/adapter-summary.ts';
import type { JSONSchema } from '../../packages/core/src/types/generate.ts';
import { buildO200kFile } from '../../packages/harmony/test/o200k.ts';
import { adapterName } from '../records.ts';
import { createSyntheticModel, type SyntheticModel } from '../stages/synthetic-model.ts';

/** Schemas whose answers take many masks: random weights write long strings and numbers. */
const SCHEMAS: Readonly<Record<string, JSONSchema>> = {
  'a string': { type: 'string' },
  'a string of at most 4,000': { type: 'string', maxLength: 4000 },
  numbers: { type: 'array', items: { type: 'number' } },
  records: {
    type: 'array',
    minItems: 20,
    items: {
      type: 'object',
      properties: {
        kind: { enum: ['bird', 'fish', 'mammal'] },
        count: { type: 'integer', minimum: 0, maximum: 999 },
        name: { type: 'string', pattern: '^[A-Z][a-z]{2,10}$' },
      },
      required: ['kind', 'count', 'name'],
    },
  },
};

/** One answer. Numbers are per token that was sampled. */
export interface ConstraintSample {
  readonly name: string;
  /** From the first sampled token to the last, forced tokens between them included. */
  readonly stepMs: number;
  /** Time on the CPU in what guides the answer, in part while the GPU computes. */
  readonly guideMs: number;
  /** Masks that differ from the one before. */
  readonly masks: number;
  /** Tokens that were forced. */
  readonly forced: number;
}

/** Compares a model's answers to one prompt with and without grammars. */
export class ConstraintBench {
  readonly adapter: string;
  /** Time of the first mask of all, for which the vocabulary is sorted. */
  firstMaskMs = 0;
  readonly #model: SyntheticModel;
  readonly #tokenizer: CheckpointTokenizer;
  readonly #context: Context;
  readonly #decoder: Decoder;
  readonly #prompt: readonly number[];
  readonly #tokens: number;

  private constructor(model: SyntheticModel, adapter: string, tokens: number) {
    const { runtime } = model;
    this.adapter = adapter;
    this.#model = model;
    this.#tokenizer = new CheckpointTokenizer(buildO200kFile(), runtime.shape.vocabularySize);
    this.#context = new Context(runtime);
    this.#decoder = new Decoder(runtime, this.#context);
    this.#prompt = this.#tokenizer.encodeConversation('Answer as JSON.', { prefillText: '' });
    this.#tokens = tokens;
  }

  /** @param tokens - Of an answer. */
  static async open(
    config: Readonly<Record<string, unknown>>,
    tokens: number,
  ): Promise<ConstraintBench> {
    const device = await requestDevice();
    const options = { prompts: [], depths: [], decode: tokens, temperature: 1, store: false };
    const sizes = { dense: 'int8', chunk: 128, context: 1024 } as const;
    const model = await createSyntheticModel(device, { ...options, ...sizes, config });
    const bench = new ConstraintBench(model, adapterName(summarizeAdapter(device)), tokens);
    await bench.#context.allocated();
    bench.firstMaskMs = (await bench.#answer('', bench.#grammar({ type: 'boolean' }))).guideMs;
    return bench;
  }

  /** One answer of each kind: free ones, then each schema's first and second. */
  async round(seed: number): Promise<ConstraintSample[]> {
    const samples = [
      await this.#answer('free, pipelined', undefined, seed),
      await this.#answer('free, stepwise', STEPWISE, seed),
    ];
    for (const [name, schema] of Object.entries(SCHEMAS)) {
      for (const time of ['first', 'again']) {
        const own = { ...schema, $comment: String(seed) }; // another schema in each round
        samples.push(await this.#answer(`${name}, ${time}`, this.#grammar(own), seed));
      }
    }
    return samples;
  }

  dispose(): void {
    this.#decoder.dispose();
    this.#context.dispose();
    this.#model.buffers.dispose();
    this.#model.runtime.gpu.dispose();
  }

  #grammar(schema: JSONSchema): Constraint {
    const options = { responseFormat: { type: 'json', schema } } as const;
    return this.#tokenizer.chat?.constrain(options, this.#prompt, true) as Constraint;
  }

  async #answer(
    name: string,
    constraint: Constraint | undefined,
    seed = 0,
  ): Promise<ConstraintSample> {
    const context = this.#context;
    const occurrences = { prompt: this.#prompt, answer: [], exempt: [] };
    this.#decoder.start(samplingOptions({ seed }), occurrences);
    context.rewind(this.#prompt);
    context.append(this.#prompt.slice(context.tokens.length));
    await context.prefill();
    const timed = constraint && new TimedConstraint(constraint);
    const times: number[] = [];
    let forced = 0;
    for await (const { isForced } of this.#decoder.decode({
      maxTokens: this.#tokens,
      ...(timed && { constraint: timed }),
    })) {
      if (isForced) forced++;
      else times.push(performance.now());
    }
    const steps = Math.max(1, times.length - 1);
    return {
      name,
      stepMs: (times.at(-1)! - times[0]!) / steps,
      guideMs: (timed?.totalMs ?? 0) / times.length,
      masks: (timed?.masks ?? 0) / times.length,
      forced: forced / times.length,
    };
  }
}

/** Waits for each token, though any may come. */
const STEPWISE: Constraint = {
  next: () => ({ kind: 'mask', mask: () => undefined as unknown as Mask }),
  push: () => undefined,
};

/** Times a constraint, and counts its masks. */
class TimedConstraint implements Constraint {
  totalMs = 0;
  masks = 0;
  readonly #timed: Constraint;
  #last: Mask | undefined;

  constructor(timed: Constraint) {
    this.#timed = timed;
  }

  next(): Guide {
    const guide = this.#time(() => this.#timed.next());
    if (guide.kind !== 'mask') return guide;
    const mask = (): Mask => {
      const made = this.#time(guide.mask);
      if (made !== this.#last) this.masks++;
      this.#last = made;
      return made;
    };
    return { kind: 'mask', mask };
  }

  push(token: number): void {
    this.#time(() => this.#timed.push(token));
  }

  #time<T>(work: () => T): T {
    const startMs = performance.now();
    const done = work();
    this.totalMs += performance.now() - startMs;
    return done;
  }
}
