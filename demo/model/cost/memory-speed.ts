import type { AdapterSummary, SupportReport } from 'ossicle';
import { readLocal, storageKey, writeLocal } from '../../storage-key.ts';

const keyOf = ({ vendor, architecture, description }: AdapterSummary): string =>
  storageKey(`memory-speed ${[vendor, architecture, description].join(' ')}`);

/** Bytes per token below which the weights may stay in a cache of the GPU, so that its memory does not limit the speed. */
const MIN_BYTES = 256e6;

/** Keeps how fast a GPU copies within its memory, if a check measured it. Later loads may skip the check. */
export function keepMemorySpeed({ adapter, speed }: SupportReport): void {
  if (adapter && speed && speed.bytesPerToken >= MIN_BYTES)
    writeLocal(keyOf(adapter), String(speed.bytesPerSecond));
}

/**
 * The bytes per second of a GPU's memory, as a check last measured them; `undefined` if none has, or if the weights of a token
 * may stay in a cache.
 */
export function readMemorySpeed(
  adapter: AdapterSummary,
  bytesPerToken: number,
): number | undefined {
  if (bytesPerToken < MIN_BYTES) return undefined;
  const bytesPerSecond = Number(readLocal(keyOf(adapter)));
  return bytesPerSecond > 0 && bytesPerSecond < Infinity ? bytesPerSecond : undefined;
}
