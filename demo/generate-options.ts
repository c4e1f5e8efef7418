import type { GenerateOptions } from 'ossicle';
import { isoDate } from './format.ts';
import type { Settings } from './settings.ts';
import { pageTools } from './tools.ts';

/** The options of `generate()` for these settings. */
export function generateOptions(settings: Settings, signal?: AbortSignal): GenerateOptions {
  const { instructions, reasoningEffort, temperature, usesTools } = settings;
  return {
    reasoningEffort,
    temperature,
    currentDate: isoDate(new Date()),
    ...(instructions.trim() !== '' && { instructions: instructions.trim() }),
    ...(usesTools && { tools: pageTools }),
    ...(signal && { signal }),
  };
}
