import { requestDevice } from '../../packages/core/src/engine/index.ts';
import { summarizeAdapter } from '../../packages/core/src/gpu/adapter-summary.ts';
import type { ModelSource } from '../../packages/core/src/types/load.ts';
import { EndToEndStage } from './end-to-end.ts';
import { KernelStage } from './kernel-stage.ts';
import type { BenchAdapter, Sample, Stage, StageName, StageOptions } from './stage.ts';
import { UploadStage } from './upload-stage.ts';

/** Runs the stages of one side, in a worker of its page or in Node. */
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
  get adapter(): BenchAdapter {
    const { adapterInfo, features } = this.#device;
    const details = Object.fromEntries(
      ['device', 'driver', 'backend', 'type'].flatMap((key) => {
        const value: unknown = adapterInfo[key as keyof GPUAdapterInfo];
        return typeof value === 'string' && value !== '' ? [[key, value]] : [];
      }),
    );
    return { ...summarizeAdapter(this.#device), features: [...features].sort(), details };
  }

  /**
   * Opens a stage, and checks its results before anything is timed.
   *
   * @param source - The checkpoint; only `end-to-end` needs one.
   * @throws Error if results are not finite, are zero, or contradict each other.
   */
  async open(
    name: StageName,
    source: ModelSource | undefined,
    options: StageOptions,
  ): Promise<Pick<Stage, 'facts' | 'measurements'>> {
    await this.close();
    const stage = await this.#open(name, source, options);
    this.#stage = stage;
    return { facts: stage.facts, measurements: stage.measurements };
  }

  #open(name: StageName, source: ModelSource | undefined, options: StageOptions): Promise<Stage> {
    switch (name) {
      case 'end-to-end':
        return EndToEndStage.open(this.#device, source as ModelSource, options);
      case 'synthetic':
        return EndToEndStage.openSynthetic(this.#device, options);
      case 'kernels':
        return KernelStage.open(this.#device, options);
      case 'upload':
        return UploadStage.open(this.#device, options);
    }
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
