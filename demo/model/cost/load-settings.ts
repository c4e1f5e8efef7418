import type { DenseFormat, ModelInfo } from 'ossicle';
import { readLocal, storageKey, writeLocal } from '../../storage-key.ts';

/** The user's choices of how models are loaded. */
export interface LoadSettings {
  readonly contextLength?: number;
  readonly dense?: DenseFormat;
}

/** Context lengths to choose from, in tokens. */
export const CONTEXT_LENGTHS: readonly number[] = [8192, 32_768, 131_072];

const KEY = 'load ';
const HEAD_SIZE = 64;
const ROPE_BYTES = HEAD_SIZE * 4;
const MXFP4_BYTES = 17 / 32;
/** Bytes per dense weight; 8-bit ones share a scale among 32. */
const DENSE_BYTES: Readonly<Record<DenseFormat, number>> = { int8: 34 / 32, bf16: 2 };

/** The choices for the loads of a checkpoint. */
export function readLoadSettings(source: string): LoadSettings {
  try {
    const found: unknown = JSON.parse(readLocal(storageKey(KEY + source)) ?? '{}');
    if (typeof found !== 'object' || found === null) return {};
    const { contextLength, dense } = found as Readonly<Record<string, unknown>>;
    const known = CONTEXT_LENGTHS.find((length) => length === contextLength);
    return {
      ...(known !== undefined && { contextLength: known }),
      ...((dense === 'int8' || dense === 'bf16') && { dense }),
    };
  } catch {
    return {};
  }
}

/** Keeps the choices for the loads of a checkpoint to come. */
export function writeLoadSettings(source: string, settings: LoadSettings): void {
  writeLocal(storageKey(KEY + source), JSON.stringify(settings));
}

type Info = Pick<ModelInfo, 'config' | 'contextLength' | 'dense' | 'kvCache' | 'gpuBytes'>;

/** About how many bytes of GPU memory a loaded model would take with other choices. */
export function gpuBytesWith(info: Info, { contextLength, dense }: Required<LoadSettings>): number {
  const kvCache = dense === info.dense ? info.kvCache : dense === 'int8' ? 'f16' : 'f32';
  const cached =
    contextLength * (kvBytesPerToken({ ...info, kvCache }) + ROPE_BYTES) -
    info.contextLength * (kvBytesPerToken(info) + ROPE_BYTES);
  const weights = residentDense(info) * (DENSE_BYTES[dense] - DENSE_BYTES[info.dense]);
  return info.gpuBytes + cached + weights;
}

/** Bytes of weights that each token reads: the most that memory allows is its speed divided by them. */
export function weightBytesPerToken({ config }: Pick<Info, 'config'>, dense: DenseFormat): number {
  const { layers, hiddenSize, intermediateSize, expertsPerToken, vocabularySize } = config;
  const experts = layers * expertsPerToken * 3 * intermediateSize * hiddenSize * MXFP4_BYTES;
  return experts + (attention(config) + vocabularySize * hiddenSize) * DENSE_BYTES[dense];
}

/** Bytes of keys and values that each token adds, in the layers that keep everything. */
export function kvBytesPerToken({ config, kvCache }: Pick<Info, 'config' | 'kvCache'>): number {
  const fullLayers = config.slidingLayers.filter((isSliding) => !isSliding).length;
  return fullLayers * 2 * config.kvHeads * HEAD_SIZE * (kvCache === 'f16' ? 2 : 4);
}

const attention = ({ layers, hiddenSize, heads, kvHeads }: Info['config']): number =>
  layers * hiddenSize * HEAD_SIZE * (2 * heads + 2 * kvHeads);

const residentDense = ({ config }: Pick<Info, 'config'>): number =>
  attention(config) + 2 * config.vocabularySize * config.hiddenSize;
