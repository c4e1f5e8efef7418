import type { GenerateOptions } from '../src/types/generate.ts';

/** Every option of a generation, each with a value that is right. */
export const GENERATE_OPTIONS: Required<GenerateOptions> = {
  instructions: 'Be brief.',
  reasoningEffort: 'low',
  tools: [{ name: 'now', description: 'Time', parameters: {}, execute: () => 1 }],
  responseFormat: { type: 'json', schema: {}, name: 'answer' },
  maxTokens: 1,
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: -2,
  frequencyPenalty: 2,
  logitBias: { 7: 1.5, 8: -Infinity },
  seed: 1,
  stop: ['end'],
  logprobs: 20,
  currentDate: '2025-08-05',
  systemMessage: {
    identity: '',
    knowledgeCutoff: null,
    channels: ['final'],
    systemTools: [{ name: 'python' }, { name: 'browser', tools: [{ name: 'search' }] }],
  },
  signal: new AbortController().signal,
  stopWhen: [() => false],
  prepareStep: () => undefined,
  onStepFinish: () => undefined,
  repairToolCall: () => undefined,
  approveToolCall: () => true,
};
