// What runs where the GPU is: in a worker of a page, or in Node.
import { requestDevice } from '../packages/core/src/engine/index.ts';
import { summarizeAdapter } from '../packages/core/src/gpu/adapter-summary.ts';
import type { AdapterSummary, ModelSource } from '../packages/core/src/types/load.ts';
import { EndToEndStage } from './end-to-end.ts';
import { KernelStage } from './kernel-stage.ts';

/** One value. */
export interface Sample {
  /** What was measured, as in `decode @128`. */
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** `end-to-end`: a checkpoint through the engine; `kernels`: the kernels of the forward pass by themselves. */
export type StageName = 'end-to-end' | 'kernels';

/** What is measured, and how. Plain data, which crosses to a page. */
export interface StageOptions {
  /** The parsed config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** How dense weights are held. */
  readonly dense: 'int8' | 'bf16';
  /** How keys and values are held. Default: the engine's. */
  readonly kvCache?: 'f16' | 'f32';
  /** Tokens of one pass of a prefill. */
  readonly chunk: number;
  /** Positions of the KV cache. */
  readonly context: number;
  /** Lengths of the prompts to prefill. */
  readonly prompts: readonly number[];
  /** Tokens in front of what is decoded. */
  readonly depths: readonly number[];
  /** How many tokens to decode. */
  readonly decode: number;
  /** Whether to load by way of the browser's store, and once more from it. */
  readonly store: boolean;
}

/** A stage that is ready to measure. */
export interface Stage {
  /** What was found while it got ready: loading, sizes, counts. */
  readonly facts: readonly Sample[];
  /** What it can measure, in order. */
  readonly measurements: readonly string[];
  /** Takes one round of a measurement: one value for each of its names. */
  measure(measurement: string): Promise<Sample[]>;
  /** Gives the memory back. */
  dispose(): Promise<void>;
}

/** What a side of a bench works with, in its page or in Node. */
export class StageHost {
  readonly #device: GPUDevice;
  #stage: Stage | undefined;

  private constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Requests a device. */
  static async start(): Promise<StageHost> {
    return new StageHost(await requestDevice());
  }

  /** The adapter in use. */
  get adapter(): AdapterSummary {
    return summarizeAdapter(this.#device);
  }

  /**
   * Gets a stage ready; what it computes is checked before anything is timed.
   *
   * @param source - The checkpoint; the stage `kernels` makes up its weights.
   * @throws Error where results are not finite, are zero, or contradict each other.
   */
  async open(
    name: StageName,
    source: ModelSource | undefined,
    options: StageOptions,
  ): Promise<Pick<Stage, 'facts' | 'measurements'>> {
    await this.close();
    const stage =
      name === 'kernels'
        ? await KernelStage.open(this.#device, options)
        : await EndToEndStage.open(this.#device, source as ModelSource, options);
    this.#stage = stage;
    return { facts: stage.facts, measurements: stage.measurements };
  }

  /** Takes one round of a measurement of the open stage. */
  async measure(measurement: string): Promise<Sample[]> {
    if (!this.#stage) throw new Error('No stage is open');
    return this.#stage.measure(measurement);
  }

  /** Closes the open stage, if there is one. */
  async close(): Promise<void> {
    await this.#stage?.dispose();
    this.#stage = undefined;
  }
}
