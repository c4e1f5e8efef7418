import { type BenchRecord, SampleLog } from '../records.ts';
import type { BenchAdapter, Stage, StageName, StageOptions } from '../stages/stage.ts';

/** What {@link measureGpu} drives: a side of a bench, or a stage host itself. */
export interface GpuSide {
  readonly adapter: BenchAdapter;
  open(
    name: StageName,
    checkpoint: undefined,
    options: StageOptions,
  ): Promise<Pick<Stage, 'facts' | 'measurements'>>;
  measure(measurement: string): ReturnType<Stage['measure']>;
  close(): Promise<void>;
}

/** Options of {@link measureGpu}. */
export interface GpuBenchOptions {
  /** The parsed config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Most layers to run; fewer if the GPU has no room for them. Default: the config's. */
  readonly layers?: number;
  /** Time for all measurements: those that would not fit are skipped. */
  readonly minutes: number;
  /** Most rounds of a measurement, after one that is not counted. */
  readonly repeat: number;
  readonly prompts: readonly number[];
  readonly depths: readonly number[];
  /** Tokens to decode at each depth. */
  readonly decode: number;
}

/** What was measured. */
export interface GpuMeasurements {
  readonly adapter: BenchAdapter;
  /** Layers of the model that was measured, of those that its config has. */
  readonly layers: number;
  readonly configLayers: number;
  readonly records: readonly BenchRecord[];
  /** What was not measured, and why. */
  readonly skipped: readonly string[];
  readonly minutes: number;
}

/** A result to keep: what was measured, where and with what. */
export interface GpuReport extends GpuMeasurements {
  readonly date: string;
  /** Of the checkout. */
  readonly commit: string;
  readonly command: string;
  /** The browser, or Node. */
  readonly runtime: string;
  readonly system: string;
  readonly isSoftware: boolean;
  /** Name of the model's config. */
  readonly config: string;
}

/** Prompts and depths of a full run. */
export const FULL_RUN: Pick<GpuBenchOptions, 'prompts' | 'depths' | 'decode' | 'repeat'> = {
  prompts: [8, 64, 512, 4096],
  depths: [1, 1024, 4096, 16_384],
  decode: 128,
  repeat: 5,
};

/** Depth at which kernels of attention are timed. */
const KERNEL_DEPTH = 4096;

const CHUNK = 512;

/** Room for counting the calls of decode steps. */
const LEAST_CONTEXT = 64;

/**
 * Measures kernels, prefill and decode of a model whose weights are made on the GPU, sampling at temperature 1.
 *
 * @param onProgress - Told what is being measured.
 * @throws Error if not even one layer fits on the GPU, or results are wrong.
 */
export async function measureGpu(
  side: GpuSide,
  options: GpuBenchOptions,
  onProgress: (text: string) => void,
): Promise<GpuMeasurements> {
  const clock = new Clock(options.minutes);
  const log = new SampleLog();
  const skipped: string[] = [];
  const configLayers = Number(options.config.num_hidden_layers);
  let layers = Math.min(options.layers ?? configLayers, configLayers);

  const deepest = Math.max(...options.prompts, Math.max(...options.depths) + options.decode);
  const most = Number(options.config.max_position_embeddings);
  const context = Math.min(most, Math.max(LEAST_CONTEXT, deepest + 1));
  const stageOptions = (depths: readonly number[]): StageOptions => ({
    config: withLayers(options.config, layers),
    dense: 'int8',
    chunk: Math.min(CHUNK, context),
    context,
    prompts: options.prompts,
    depths,
    decode: options.decode,
    temperature: 1,
    store: false,
  });
  /** Opens a stage with as many layers as the GPU has room for. */
  const open = async (name: StageName, depths: readonly number[]): Promise<readonly string[]> => {
    for (;;) {
      try {
        onProgress(`${name}: making ${layers} layers`);
        const { facts, measurements } = await side.open(name, undefined, stageOptions(depths));
        log.add(facts);
        return measurements;
      } catch (error) {
        if (!isMemoryShort(error) || layers === 1) throw error;
        skipped.push(`${layers} layers: the GPU has no room for them`);
        layers = Math.ceil(layers / 2);
      }
    }
  };
  const run = async (name: StageName, depths: readonly number[]): Promise<void> => {
    // Profiles of single dispatches are for `npm run bench`: browsers round timestamps.
    const measurements = (await open(name, depths)).filter((each) => each !== 'step');
    for (const [i, measurement] of measurements.entries()) {
      const predictedMs = predictMs(measurement, log);
      if (clock.leftMs < predictedMs) {
        skipped.push(`${measurement}: would take ${(predictedMs / 60_000).toFixed(1)} minutes`);
        continue;
      }
      onProgress(`${name}: ${measurement}`);
      const shareMs = clock.leftMs / (measurements.length - i);
      log.add(await rounds(() => side.measure(measurement), shareMs, options.repeat));
    }
    await side.close();
  };
  try {
    await run('kernels', [Math.min(KERNEL_DEPTH, context - CHUNK)]);
    await run('synthetic', options.depths);
  } finally {
    await side.close();
  }
  return {
    adapter: side.adapter,
    layers,
    configLayers,
    records: log.records(),
    skipped,
    minutes: clock.usedMinutes,
  };
}

/** Takes a round that is not counted, then as many as fit in the time; if none fits, the first one counts. */
async function rounds<T>(
  measure: () => Promise<readonly T[]>,
  shareMs: number,
  repeat: number,
): Promise<T[]> {
  const startMs = performance.now();
  const first = await measure();
  const roundMs = Math.max(1, performance.now() - startMs);
  const count = Math.min(repeat, Math.floor(shareMs / roundMs) - 1);
  if (count < 1) return [...first];
  const samples: T[] = [];
  for (let round = 0; round < count; round++) samples.push(...(await measure()));
  return samples;
}

/** How long a prompt will take at the speed of the longest one so far. */
function predictMs(measurement: string, log: SampleLog): number {
  const tokens = Number(/(?:prefill |decode @)(\d+)$/.exec(measurement)?.[1] ?? 0);
  const speeds = log
    .records()
    .filter(({ name }) => name.startsWith('prefill '))
    .map(({ value }) => value);
  const speed = speeds.at(-1);
  return speed === undefined ? 0 : (1000 * tokens) / speed;
}

function withLayers(
  config: GpuBenchOptions['config'],
  layers: number,
): Readonly<Record<string, unknown>> {
  const types = config.layer_types as readonly string[];
  return { ...config, num_hidden_layers: layers, layer_types: types.slice(0, layers) };
}

/** Errors lose their class on the way from a page. */
function isMemoryShort(error: unknown): boolean {
  return error instanceof Error && /has no room for|out of memory/i.test(error.message);
}

class Clock {
  readonly #startMs = performance.now();
  readonly #limitMs: number;

  constructor(minutes: number) {
    this.#limitMs = minutes * 60_000;
  }

  get leftMs(): number {
    return Math.max(0, this.#limitMs - (performance.now() - this.#startMs));
  }

  get usedMinutes(): number {
    return (performance.now() - this.#startMs) / 60_000;
  }
}
