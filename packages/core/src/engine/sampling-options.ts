import type { GenerateOptions } from '../types/generate.ts';

/** The options of a generation that the sampling kernels use. */
export interface SamplingOptions {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly seed: number;
}

/**
 * Checks the sampling options and fills in the defaults that OpenAI recommends: temperature 1, everything else off.
 *
 * @throws RangeError if an option is out of range.
 */
export function parseSamplingOptions(options: GenerateOptions): SamplingOptions {
  const {
    temperature = 1,
    topP = 1,
    topK = 0,
    minP = 0,
    repetitionPenalty = 1,
    seed = randomSeed(),
  } = options;
  check('temperature', temperature, temperature >= 0 && temperature <= 100, 'from 0 to 100');
  check('topP', topP, topP > 0 && topP <= 1, 'above 0 and up to 1');
  check(
    'topK',
    topK,
    Number.isInteger(topK) && topK >= 0 && topK < 2 ** 32,
    'a whole number from 0 to 4294967295',
  );
  check('minP', minP, minP >= 0 && minP <= 1, 'from 0 to 1');
  check(
    'repetitionPenalty',
    repetitionPenalty,
    repetitionPenalty > 0 && repetitionPenalty <= 100,
    'above 0 and up to 100',
  );
  check('seed', seed, Number.isSafeInteger(seed), 'a whole number');
  return { temperature, topP, topK, minP, repetitionPenalty, seed };
}

/** Encodes the `Sampling` struct of `shaders/lib/sampling.wgsl`. */
export function encodeSamplingOptions(options: SamplingOptions): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(32));
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
  return view.buffer;
}

function check(name: string, value: number, isValid: boolean, range: string): void {
  if (typeof value !== 'number' || !isValid)
    throw new RangeError(`${name} must be ${range}, not ${value}`);
}

function randomSeed(): number {
  const [low = 0, high = 0] = crypto.getRandomValues(new Uint32Array(2));
  return (high % 2 ** 21) * 2 ** 32 + low;
}
