import { LoadedEngine } from '../../packages/core/src/engine/engine.ts';
import { createEngine, type Engine, type Session } from '../../packages/core/src/engine/index.ts';
import { diagnose } from '../../packages/core/src/engine/variants/diagnose.ts';
import { summarizeAdapter } from '../../packages/core/src/gpu/adapter-summary.ts';
import type { GenerateOptions, Timings } from '../../packages/core/src/types/generate.ts';
import type { LoadProgress, ModelInfo, ModelSource } from '../../packages/core/src/types/load.ts';
import { countCalls } from './call-counter.ts';
import type { Sample, Stage, StageOptions } from './stage.ts';
import { createSyntheticModel } from './synthetic-model.ts';

/** Tokens decoded to count the calls of a step. */
const COUNTED_STEPS = 8;

/** A common setting, for `sampled decode`. */
const SAMPLING: GenerateOptions = { temperature: 1, topK: 50, topP: 0.95, seed: 1 };

/** Measures a checkpoint through the engine's public interface. */
export class EndToEndStage implements Stage {
  readonly facts: readonly Sample[];
  readonly measurements: readonly string[];
  readonly #engine: Engine;
  /** Created first, so that its memory is allocated before anything is timed. */
  readonly #session: Session;
  readonly #options: StageOptions;
  #prompts = 0;

  private constructor(engine: Engine, options: StageOptions, facts: readonly Sample[]) {
    this.#engine = engine;
    this.#session = engine.createSession();
    this.#options = options;
    this.facts = facts;
    this.measurements = [
      ...options.prompts.map((length) => `prefill ${length}`),
      ...options.depths.flatMap((depth) => [`decode @${depth}`, `sampled decode @${depth}`]),
    ];
  }

  /** Loads a checkpoint, checks its results, and counts the calls of a decode step. */
  static async open(
    device: GPUDevice,
    source: ModelSource,
    options: StageOptions,
  ): Promise<EndToEndStage> {
    const facts: Sample[] = [];
    const load = async (prefix: string): Promise<Engine> => {
      const { onProgress, finish } = watchLoad();
      const engine = await createEngine({
        device,
        source,
        dense: options.dense,
        ...(options.kvCache && { kvCache: options.kvCache }),
        contextLength: options.context,
        prefillChunkLength: options.chunk,
        store: options.store,
        onProgress,
      });
      facts.push(...finish(prefix));
      return engine;
    };
    let engine = await load('load');
    if (options.store) {
      engine.dispose();
      engine = await load('load again');
    }
    return EndToEndStage.#check(engine, options, facts);
  }

  /** The same for a model whose weights are made on the GPU. */
  static async openSynthetic(device: GPUDevice, options: StageOptions): Promise<EndToEndStage> {
    const { runtime, buffers, gpuBytes } = await createSyntheticModel(device, options);
    const { config, shape } = runtime;
    const info: ModelInfo = {
      id: 'synthetic',
      config,
      parameterCount: 0,
      contextLength: shape.contextLength,
      dense: shape.dense,
      kvCache: shape.kvCache,
      prefill: shape.prefill,
      gpuBytes,
      adapter: summarizeAdapter(device),
    };
    const engine = new LoadedEngine(runtime, undefined, buffers, info, () =>
      diagnose({ runtime, choices: [] }, info, false),
    );
    return EndToEndStage.#check(engine, options, []);
  }

  static async #check(
    engine: Engine,
    options: StageOptions,
    facts: Sample[],
  ): Promise<EndToEndStage> {
    facts.push({ name: 'GPU memory', value: engine.info.gpuBytes / 2 ** 20, unit: 'MiB' });
    const stage = new EndToEndStage(engine, options, facts);
    try {
      await stage.#checkResults();
      facts.push(...(await stage.#countStep()));
      return stage;
    } catch (error) {
      engine.dispose();
      throw error;
    }
  }

  /**
   * `prefill N` and `generate N M` take a prompt that shares no prefix with the previous one, so that the session reuses
   * nothing, and generate one token or M. `decode @N` decodes after a prompt whose keys and values it reuses if the last
   * measurement was the same.
   */
  async measure(measurement: string): Promise<Sample[]> {
    const [, kind, length, count] = /^(.+?) @?(\d+)(?: (\d+))?$/.exec(measurement) ?? [];
    const tokens = Number(length);
    const { decode, temperature } = this.#options;
    if (kind === 'generate') {
      const startMs = performance.now();
      await this.#generate(this.#prompt(tokens), Number(count), temperature);
      return [sample(measurement, performance.now() - startMs, 'ms')];
    }
    if (kind === 'prefill') {
      const timings = await this.#generate(this.#prompt(tokens), 1, temperature);
      return [
        sample(measurement, timings.prefillTokensPerSecond, 'tokens/s'),
        sample(`time to first token ${tokens}`, timings.timeToFirstTokenMs, 'ms'),
      ];
    }
    const sampling = kind === 'decode' ? { temperature, seed: 1 } : SAMPLING;
    const options = { ...sampling, maxTokens: decode + 1 };
    const { timings } = await this.#session.generate(this.#tokens(tokens, 0), options).result;
    return [sample(measurement, timings.decodeTokensPerSecond, 'tokens/s')];
  }

  async dispose(): Promise<void> {
    this.#engine.dispose();
  }

  /** Generates after a prompt of which nothing may be reused. */
  async #generate(prompt: Uint32Array, maxTokens: number, temperature = 0): Promise<Timings> {
    const options = { maxTokens, temperature, seed: 1 };
    const { timings, usage } = await this.#session.generate(prompt, options).result;
    if (usage.reusedTokens !== 0 || usage.completionTokens !== maxTokens) {
      throw new Error(
        `A prompt of ${prompt.length} fresh tokens for ${maxTokens} gave ${JSON.stringify(usage)}`,
      );
    }
    return timings;
  }

  /** Checks that logits are finite and differ, and that greedy decoding takes the largest. */
  async #checkResults(): Promise<void> {
    const prompt = this.#prompt(Math.min(16, this.#options.context - 2));
    const evaluated = this.#engine.createSession();
    const logits = await evaluated.evaluate(prompt);
    evaluated.dispose();
    let best = 0;
    let lowest = Infinity;
    for (let i = 0; i < logits.length; i++) {
      const logit = logits[i] as number;
      if (!Number.isFinite(logit)) throw new Error(`Logit ${i} is ${logit}: nothing is timed`);
      if (logit > (logits[best] as number)) best = i;
      lowest = Math.min(lowest, logit);
    }
    if (lowest === logits[best]) throw new Error(`All logits are ${lowest}: nothing is timed`);
    await this.#generate(prompt, 1);
    const chosen = this.#session.tokens.at(-1);
    if (chosen !== best) {
      throw new Error(
        `Greedy decoding took token ${chosen}, evaluate() says ${best}: nothing is timed`,
      );
    }
  }

  /** Counts the calls of one decode step: the difference between a long generation and a short one. */
  async #countStep(): Promise<Sample[]> {
    const count = (maxTokens: number) =>
      countCalls(() => this.#generate(this.#prompt(4), maxTokens));
    await count(4); // makes the bind groups of a prompt of this length
    const short = await count(4);
    const long = await count(4 + COUNTED_STEPS);
    return Object.entries(long).map(([name, calls]) =>
      sample(
        `${name} per token`,
        (calls - short[name as keyof typeof short]) / COUNTED_STEPS,
        'calls',
      ),
    );
  }

  /** Token ids whose first one differs from call to call. */
  #prompt(length: number): Uint32Array {
    this.#prompts++;
    return this.#tokens(length, this.#prompts);
  }

  /** Pseudo-random token ids. A longer list begins with the shorter one of the same seed, and with the seed. */
  #tokens(length: number, seed: number): Uint32Array {
    const { vocabularySize } = this.#engine.info.config;
    let state = seed;
    return Uint32Array.from({ length }, (_, i) => {
      if (i === 0) return seed % vocabularySize;
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator
      return Math.floor((state / 2 ** 32) * vocabularySize);
    });
  }
}

/** Times the phases of a load: each lasts until the next one begins. */
function watchLoad(): {
  onProgress: (progress: LoadProgress) => void;
  finish: (prefix: string) => Sample[];
} {
  const beginMs = performance.now();
  const phases: { phase: LoadProgress['phase']; startMs: number; bytes: number }[] = [];
  return {
    onProgress: ({ phase, totalBytes }) => {
      if (phases.at(-1)?.phase === phase) return;
      phases.push({ phase, startMs: performance.now(), bytes: totalBytes });
    },
    finish: (prefix) => {
      const endMs = performance.now();
      const samples = phases.flatMap(({ phase, startMs, bytes }, i) => {
        const ms = (phases[i + 1]?.startMs ?? endMs) - startMs;
        if (phase === 'ready') return [];
        const seconds = sample(`${prefix}: ${phase}`, ms / 1000, 's');
        if (bytes === 0 || ms === 0) return [seconds];
        return [seconds, sample(`${prefix}: ${phase} speed`, bytes / ms / 1e3, 'MB/s')];
      });
      const firstMs = (phases[0]?.startMs ?? endMs) - beginMs;
      return [
        sample(`${prefix}: headers, first shaders`, firstMs / 1000, 's'),
        ...samples,
        sample(`${prefix}: all`, (endMs - beginMs) / 1000, 's'),
      ];
    },
  };
}

function sample(name: string, value: number, unit: string): Sample {
  return { name, value, unit };
}
