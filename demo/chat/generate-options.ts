import type { GenerateOptions } from 'ossicle';
import { isoDate } from '../format.ts';
import type { CheckpointSource } from '../model/checkpoint-source.ts';
import type { Settings } from '../settings.ts';
import { pageTools } from './tools.ts';

/** gpt-oss-nano's own answers are shorter; if asked what it has not learned, it may write without end. */
const MAX_EMBEDDED_TOKENS = 512;

/** The options of `generate()` for these settings and the model of this checkpoint. */
export function generateOptions(
  settings: Settings,
  { origin }: Pick<CheckpointSource, 'origin'>,
  signal?: AbortSignal,
): GenerateOptions {
  const { instructions, reasoningEffort, temperature, usesTools, asksForTools } = settings;
  return {
    reasoningEffort,
    temperature,
    currentDate: isoDate(new Date()),
    ...(instructions.trim() !== '' && { instructions: instructions.trim() }),
    ...(usesTools && {
      tools: asksForTools ? pageTools.map((tool) => ({ ...tool, needsApproval: true })) : pageTools,
    }),
    ...(origin === 'embedded' && { maxTokens: MAX_EMBEDDED_TOKENS }),
    ...(signal && { signal }),
  };
}
