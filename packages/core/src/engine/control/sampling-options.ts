import type { GenerateOptions } from '../../types/generate.ts';

/** The options of a generation that the sampling kernels use. */
export interface SamplingOptions {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** By token; from -100, which excludes a token, to 100. */
  readonly logitBias: ReadonlyMap<number, number>;
  readonly seed: number;
}

/** Fills in the defaults that OpenAI recommends: temperature 1, everything else off. */
export function samplingOptions(options: GenerateOptions): SamplingOptions {
  const {
    temperature = 1,
    topP = 1,
    topK = 0,
    minP = 0,
    repetitionPenalty = 1,
    presencePenalty = 0,
    frequencyPenalty = 0,
    seed = randomSeed(),
  } = options;
  const penalties = { repetitionPenalty, presencePenalty, frequencyPenalty };
  const logitBias = biases(options.logitBias);
  return { temperature, topP, topK, minP, ...penalties, logitBias, seed };
}

/** Whether the options change logits by token. Otherwise, sampling reads no `Adjustments`. */
export function adjustsLogits(options: SamplingOptions): boolean {
  const { repetitionPenalty, presencePenalty, frequencyPenalty, logitBias } = options;
  const isPenalized = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
  return isPenalized || logitBias.size > 0;
}

/** The bias that excludes a token. */
export const EXCLUDED = -100;

function biases(logitBias: GenerateOptions['logitBias'] = {}): Map<number, number> {
  const entries = logitBias instanceof Map ? logitBias : Object.entries(logitBias);
  return new Map([...entries].map(([id, bias]) => [Number(id), Math.max(EXCLUDED, bias)]));
}

/** Where `Sampling` of `shaders/lib/sampling.wgsl` says whether there is a mask: bytes from its beginning. */
export const MASKED_OFFSET = 40;

/** Encodes the `Sampling` struct of `shaders/lib/sampling.wgsl`. */
export function encodeSamplingOptions(options: SamplingOptions): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(48));
  // Small enough that the likeliest token always wins, large enough that no GPU flushes the divisor to zero.
  const least = 1e-6;
  const { temperature } = options;
  view.setFloat32(0, temperature === 0 ? 0 : Math.max(temperature, least), true);
  view.setFloat32(4, options.topP, true);
  view.setFloat32(8, options.minP, true);
  view.setFloat32(12, Math.max(options.repetitionPenalty, least), true);
  view.setUint32(16, options.topK, true);
  const seed = BigInt.asUintN(64, BigInt(options.seed));
  view.setUint32(20, Number(seed & 0xffffffffn), true);
  view.setUint32(24, Number(seed >> 32n), true);
  view.setFloat32(28, options.presencePenalty, true);
  view.setFloat32(32, options.frequencyPenalty, true);
  view.setUint32(36, Number(adjustsLogits(options)), true);
  return view.buffer;
}

function randomSeed(): number {
  const [low = 0, high = 0] = crypto.getRandomValues(new Uint32Array(2));
  return (high % 2 ** 21) * 2 ** 32 + low;
}
