/** Committed golden values, and the test data of the reference implementation if it is beside the checkout. */

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import {
  type ConversationOptions,
  createTokenizer,
  type Message,
  type Tokenizer,
} from '../src/index.ts';

const root = new URL('../../../', import.meta.url);

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, root), 'utf8'));
}

/** Token ids of o200k_harmony that other implementations agree on. */
export interface Vectors {
  readonly tokenizer_ordinary: readonly {
    readonly text: string;
    readonly ids: readonly number[];
  }[];
  readonly harmony_prompts: readonly {
    readonly what: string;
    readonly text: string;
    readonly ids: readonly number[];
  }[];
  readonly harmony_fixture_token_counts: Readonly<
    Record<string, { readonly count: number; readonly sha256_of_comma_joined_ids?: string }>
  >;
}

/** A prompt in gpt-oss-nano's training format, and the model's completion. */
export interface NanoConversation {
  readonly skill: string;
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  readonly completion: string;
  readonly completion_ids: readonly number[];
}

/** Reads the vectors. */
export function readVectors(): Vectors {
  return readJson('packages/core/test/golden/gpt-oss-vectors.json') as Vectors;
}

/** Reads the golden conversations of the embedded model. */
export function readNanoConversations(): readonly NanoConversation[] {
  const golden = readJson('packages/core/test/golden/nano.json');
  return (golden as { conversations: NanoConversation[] }).conversations;
}

/** A schema, and the type that OpenAI's renderer makes of it. */
export interface SchemaGolden {
  readonly schema: Readonly<Record<string, unknown>>;
  readonly type: string;
}

/** Reads these schemas. */
export function readSchemaGoldens(): readonly SchemaGolden[] {
  return readJson('packages/harmony/test/golden/schemas.json') as SchemaGolden[];
}

/** A conversation, and the prompt that OpenAI's renderer makes of it. */
export interface ConversationGolden {
  readonly what: string;
  readonly messages: readonly Message[];
  readonly options: ConversationOptions;
  readonly text: string;
}

/** Reads these conversations. */
export function readConversationGoldens(): readonly ConversationGolden[] {
  return readJson('packages/harmony/test/golden/conversations.json') as ConversationGolden[];
}

/** Creates the tokenizer of the embedded model. */
export function createNanoTokenizer(): Tokenizer {
  return createTokenizer(readJson('demo/public/models/gpt-oss-nano/tokenizer.json'));
}

/** Returns the SHA-256 of ids joined by commas. */
export function hashIds(ids: readonly number[]): string {
  return createHash('sha256').update(ids.join(',')).digest('hex');
}

const fixtures = new URL('../shared/fixtures/harmony/', root);

/** Names of the reference implementation's test files; empty if they are absent. */
export const fixtureNames: readonly string[] = existsSync(fixtures) ? readdirSync(fixtures) : [];

/** Reads one of these files. */
export function readFixture(name: string): string {
  return readFileSync(new URL(name, fixtures), 'utf8');
}
