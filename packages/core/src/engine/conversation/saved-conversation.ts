import type { Message } from '@ossicle/harmony';
import { isObject } from '../../check-values.ts';
import { OssicleError } from '../../errors.ts';
import { type BufferPart, readBuffer } from '../../gpu/buffers.ts';
import type { Gpu } from '../../gpu/device.ts';
import { toHex } from '../../sha256.ts';
import type { GenerateResult, TokenLogprobs } from '../../types/generate.ts';
import type { ContextState } from './context.ts';

/** The most bytes that are read, hashed and written at once. */
const PIECE_BYTES = 16 * 2 ** 20;

/** Begins the end of every file; another version of the format has another. */
const MAGIC = new TextEncoder().encode('ossicle1');

/** Bytes of a SHA-256. */
const HASH_BYTES = 32;

/** Bytes after the details: their length as a u32, their SHA-256, and {@link MAGIC}. */
const END_BYTES: number = 4 + HASH_BYTES + MAGIC.length;

/** Takes the next bytes of a file. Before TypeScript 5.7, `Uint8Array` took no parameter. */
export type Write = (bytes: Uint8Array & { readonly buffer: ArrayBuffer }) => Promise<void>;

/** What it takes to go on with an answer, besides the tokens of its conversation. */
export interface BegunAnswer {
  /** Where its tokens begin. */
  readonly start: number;
  /** How many messages were left out of its prompt. */
  readonly droppedMessages: number;
  /** One entry per token, if they were asked for. */
  readonly logprobs: readonly TokenLogprobs[];
  /** The steps of its generation that ended before it. */
  readonly steps: readonly GenerateResult[];
}

/** What is saved with the keys and values of a conversation. */
export interface ConversationDetails {
  /** When it was saved, in milliseconds since 1970. */
  readonly savedAt: number;
  /** The id of the model that it was saved with. */
  readonly model: string;
  /** The identity of the model and the layout: see `identityOf`. */
  readonly identity: string;
  /** The conversation, up to the answer that has not ended, if there is one. */
  readonly messages: readonly Message[];
  /** The answer that has not ended; `null` if none is unfinished. */
  readonly answer: BegunAnswer | null;
  readonly state: ContextState;
}

/** Details as they lie in the file. */
export interface SavedDetails extends ConversationDetails {
  /** The SHA-256 of each piece of the keys and values. */
  readonly pieces: readonly string[];
}

/**
 * Writes a conversation: the parts in pieces, the details as JSON, and an end that leads to the details.
 *
 * @throws {@link OssicleError} `device-lost`, and what `write` throws.
 */
export async function writeConversation(
  gpu: Gpu,
  parts: readonly BufferPart[],
  details: ConversationDetails,
  write: Write,
): Promise<void> {
  const pieces: string[] = [];
  for (const { buffer, offsetBytes, sizeBytes } of piecesOf(parts)) {
    const bytes = new Uint8Array(await readBuffer(gpu, buffer, offsetBytes, sizeBytes));
    pieces.push(await sha256(bytes));
    await write(bytes);
  }
  const saved: SavedDetails = { ...details, pieces };
  const json = new TextEncoder().encode(JSON.stringify(saved));
  const end = new Uint8Array(END_BYTES);
  new DataView(end.buffer).setUint32(0, json.length, true);
  end.set(new Uint8Array(await crypto.subtle.digest('SHA-256', json)), 4);
  end.set(MAGIC, 4 + HASH_BYTES);
  await write(json);
  await write(end);
}

/**
 * Reads what was saved with the keys and values of a conversation.
 *
 * @throws {@link OssicleError} `integrity` if the bytes are not those that were written.
 */
export async function readDetails(saved: Blob): Promise<SavedDetails> {
  const jsonEnd = Math.max(0, saved.size - END_BYTES);
  const end = await bytesOf(saved, jsonEnd, END_BYTES);
  const isEnd = MAGIC.every((byte, i) => end[4 + HASH_BYTES + i] === byte);
  const length = isEnd ? new DataView(end.buffer).getUint32(0, true) : Infinity;
  const json = length <= jsonEnd && (await bytesOf(saved, jsonEnd - length, length));
  const isWhole = json && (await sha256(json)) === toHex(end.subarray(4, 4 + HASH_BYTES));
  const read = isWhole ? parsed(new TextDecoder().decode(json)) : undefined;
  const details = isObject(read) ? withAnswer(read) : read;
  if (isDetails(details)) return details;
  throw new OssicleError(
    'integrity',
    `The saved conversation (${saved.size} bytes) is damaged, or another version of ossicle saved it. Remove it.`,
  );
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Earlier versions saved of an answer only where it begins, or all but the steps before it. */
function withAnswer(details: Readonly<Record<string, unknown>>): unknown {
  const { answerStart: start, ...rest } = details;
  const begun = start === null ? null : { start, droppedMessages: 0, logprobs: [] };
  const { answer = begun } = rest;
  return { ...rest, answer: isObject(answer) ? { steps: [], ...answer } : answer };
}

/** Whether a value has what details need: another program may have written the file. */
function isDetails(value: unknown): value is SavedDetails {
  if (!isObject(value) || !isObject(value.state)) return false;
  const { savedAt, model, identity, messages, answer, state, pieces } = value;
  const { tokens, evaluated, ringStart, ringEnd, snapshots } = state;
  if (!isArrayOf(tokens, (token) => isCount(token, 2 ** 32))) return false;
  const isLength = (length: unknown): boolean => isCount(length, tokens.length);
  return (
    Number.isFinite(savedAt) &&
    isArrayOf([model, identity, ...(Array.isArray(pieces) ? pieces : [null])], isString) &&
    isArrayOf(
      messages,
      (each) => isObject(each) && isString(each.role) && isString(each.content),
    ) &&
    (answer === null ||
      (isObject(answer) &&
        isLength(answer.start) &&
        answer.start !== 0 &&
        isCount(answer.droppedMessages, messages.length) &&
        Array.isArray(answer.logprobs) &&
        isArrayOf(answer.steps, isStep))) &&
    isLength(evaluated) &&
    [ringStart, ringEnd].every((position) => isCount(position, 2 ** 32)) &&
    isArrayOf(
      snapshots,
      (each) => isObject(each) && isLength(each.length) && typeof each.isTurnStart === 'boolean',
    )
  );
}

function isStep(step: unknown): boolean {
  if (!isObject(step) || !isObject(step.usage)) return false;
  const { completionTokens, reasoningTokens } = step.usage;
  const isCounted = [completionTokens, reasoningTokens].every((count) => isCount(count, 2 ** 32));
  return (
    isCounted && isObject(step.timings) && [step.toolCalls, step.messages].every(Array.isArray)
  );
}

function isArrayOf(value: unknown, isOne: (one: unknown) => boolean): value is readonly unknown[] {
  return Array.isArray(value) && value.every(isOne);
}

function isCount(value: unknown, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;
}

function isString(value: unknown): boolean {
  return typeof value === 'string';
}

/**
 * Fills parts of buffers with the keys and values of a conversation.
 *
 * @returns Whether all bytes are those that were written. If not, the parts hold anything.
 */
export async function readParts(
  gpu: Gpu,
  saved: Blob,
  { pieces }: SavedDetails,
  parts: readonly BufferPart[],
): Promise<boolean> {
  let position = 0;
  for (const [i, { buffer, offsetBytes, sizeBytes }] of piecesOf(parts).entries()) {
    const bytes = await bytesOf(saved, position, sizeBytes);
    if (bytes.length < sizeBytes || (await sha256(bytes)) !== pieces[i]) return false;
    gpu.check();
    gpu.device.queue.writeBuffer(buffer, offsetBytes, bytes);
    await gpu.settle(gpu.device.queue.onSubmittedWorkDone()); // so that the browser holds one piece at a time
    position += sizeBytes;
  }
  return true;
}

function piecesOf(parts: readonly BufferPart[]): (BufferPart & { readonly offsetBytes: number })[] {
  return parts.flatMap(({ buffer, sizeBytes }) =>
    Array.from({ length: Math.ceil(sizeBytes / PIECE_BYTES) }, (_, i) => ({
      buffer,
      offsetBytes: i * PIECE_BYTES,
      sizeBytes: Math.min(PIECE_BYTES, sizeBytes - i * PIECE_BYTES),
    })),
  );
}

async function bytesOf(
  blob: Blob,
  offsetBytes: number,
  sizeBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await blob.slice(offsetBytes, offsetBytes + sizeBytes).arrayBuffer());
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}
