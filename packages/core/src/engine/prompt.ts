import type { Message } from '@ossicle/harmony';
import { OssicleError } from '../errors.ts';
import type { KernelShape } from '../kernels/shape.ts';
import type { GenerateOptions } from '../types/generate.ts';
import { checkTokens } from './conversation/context.ts';
import { dropTurns } from './conversation/drop-turns.ts';
import { type CheckpointTokenizer, noTokenizer } from './tokenizer.ts';

/** A prompt that leaves room for an answer. */
export interface Prompt {
  readonly tokens: readonly number[];
  /** How many messages were left out. */
  readonly droppedMessages: number;
}

/** Options that say what a prompt of messages contains, or how its tools are run. */
const MESSAGE_OPTIONS = [
  'instructions',
  'reasoningEffort',
  'currentDate',
  'systemMessage',
  'keepAnalysis',
  'prefillText',
  'overflow',
  'stopWhen',
  'prepareStep',
  'onStepFinish',
  'repairToolCall',
  'approveToolCall',
] as const satisfies readonly (keyof GenerateOptions)[];

/** Options that only a chat format can follow. */
const CHAT_OPTIONS = [
  'stop',
  'tools',
  'builtInTools',
  'toolChoice',
  'responseFormat',
  'reasoningBudget',
] as const satisfies readonly (keyof GenerateOptions)[];

/** @throws TypeError if an option would have no effect on a prompt of token ids. */
export function checkTokenOptions(options: GenerateOptions): void {
  const useless = MESSAGE_OPTIONS.find((name) => options[name] !== undefined);
  if (useless === undefined) return;
  throw new TypeError(
    `${useless} has no effect on a prompt of token ids; give messages, or omit it`,
  );
}

/**
 * Renders a conversation as a prompt, or checks one of token ids.
 *
 * @throws {@link OssicleError} `context-overflow` if it leaves no room; `format-invalid` if the checkpoint does not know
 * text. RangeError or TypeError if the input or an option is wrong.
 */
export function encodePrompt(
  input: readonly Message[] | Uint32Array,
  options: GenerateOptions,
  tokenizer: CheckpointTokenizer | undefined,
  { contextLength, vocabularySize }: KernelShape,
): Prompt {
  if (!(input instanceof Uint32Array)) {
    if (!tokenizer) throw noTokenizer();
    const encode = (messages: readonly Message[]): number[] =>
      tokenizer.encodeConversation(messages, options);
    const { maxTokens, overflow } = options;
    const lengthOf = (messages: readonly Message[]): number => encode(messages).length;
    const messages =
      overflow === 'drop-oldest' ? dropTurns(input, { contextLength, maxTokens, lengthOf }) : input;
    const droppedMessages = input.length - messages.length;
    return { tokens: checkRoom(encode(messages), contextLength), droppedMessages };
  }
  const asked = CHAT_OPTIONS.find((name) => options[name] !== undefined);
  if (!tokenizer?.chat && asked !== undefined) {
    throw new TypeError(`${asked} requires a checkpoint with a Harmony tokenizer`);
  }
  checkTokens(input, vocabularySize);
  return { tokens: checkRoom(Array.from(input), contextLength), droppedMessages: 0 };
}

function checkRoom(tokens: readonly number[], contextLength: number): readonly number[] {
  if (tokens.length === 0) throw new RangeError('The prompt must have at least one token');
  if (tokens.length < contextLength) return tokens;
  throw new OssicleError(
    'context-overflow',
    `The prompt has ${tokens.length} tokens, which leaves no room for an answer in a context of ${contextLength}. ` +
      'Shorten the conversation, or load the model with a larger contextLength.',
  );
}
