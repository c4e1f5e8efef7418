/**
 * Runs OpenAI's gpt-oss models in the browser on WebGPU.
 *
 * @packageDocumentation
 */

export { type ErrorCode, isOssicleError, OssicleError } from './errors.ts';
export { type Classifier, classify } from './generation/classify.ts';
export { hasToolCall, stepCountIs } from './generation/stop-conditions.ts';
export {
  type SchemaIssue,
  type SchemaResult,
  type StandardSchema,
  type TypedTool,
  tool,
} from './generation/tool.ts';
export { checkSupport } from './page/check-support.ts';
export { load } from './page/load.ts';
export type { Model, SavedSessions } from './page/model.ts';
export type { ModelSession } from './page/model-session.ts';
export {
  type DamagedChunk,
  type ImportOptions,
  type ModelStore,
  type StoredModel,
  type StoreUsage,
  store,
  type VerifyResult,
} from './page/model-store.ts';
export type * from './types/classify.ts';
export type * from './types/config.ts';
export type * from './types/diagnosis.ts';
export type * from './types/generate.ts';
export type * from './types/load.ts';
export type { SavedSession } from './types/session.ts';
export type * from './types/support.ts';
export type * from './types/task.ts';
