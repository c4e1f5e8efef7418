import type { Message } from '@ossicle/harmony';
import type { GenerateResult } from './generate.ts';

/** A session in the browser's private file system. */
export interface SavedSession {
  /** The session's id. */
  readonly id: string;
  /** Bytes of the file. */
  readonly sizeBytes: number;
  /** When it was saved, in milliseconds since 1970. */
  readonly savedAt: number;
  /** The id of the model that it was saved with; empty if the file is damaged. */
  readonly model: string;
  /** The conversation, without an answer that has not ended; empty if the file is damaged. */
  readonly messages: readonly Message[];
  /** Whether the last answer was cut short. */
  readonly isUnfinished: boolean;
  /** Whether the file cannot be opened. */
  readonly isDamaged: boolean;
}

/** What a session starts with. */
export interface SessionStart {
  /** The conversation. */
  readonly messages: readonly Message[];
  /** Whether the last answer was cut short. */
  readonly isUnfinished: boolean;
  /** The steps of the last answer's generation that ended before it. */
  readonly steps: readonly GenerateResult[];
  /** Tokens that need no evaluation. */
  readonly restoredTokens: number;
}
