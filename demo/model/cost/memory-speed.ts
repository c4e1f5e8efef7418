import type { AdapterSummary, SupportReport } from 'ossicle';
import { readLocal, storageKey, writeLocal } from '../../storage-key.ts';

const keyOf = ({ vendor, architecture, description }: AdapterSummary): string =>
  storageKey(`memory-speed ${[vendor, architecture, description].join(' ')}`);

/** Keeps how fast a GPU copies within its memory, if a check has measured it: a model that is stored loads without one. */
export function keepMemorySpeed({ adapter, speed }: SupportReport): void {
  if (adapter && speed) writeLocal(keyOf(adapter), String(speed.bytesPerSecond));
}

/** The bytes per second of a GPU's memory, as a check last measured them; `undefined` if none has. */
export function readMemorySpeed(adapter: AdapterSummary): number | undefined {
  const bytesPerSecond = Number(readLocal(keyOf(adapter)));
  return bytesPerSecond > 0 && bytesPerSecond < Infinity ? bytesPerSecond : undefined;
}
