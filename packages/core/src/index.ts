/**
 * Runs OpenAI's gpt-oss models in the browser, on WebGPU.
 *
 * @packageDocumentation
 */

export { checkSupport } from './check-support.ts';
export type {
  LimitCheck,
  SpeedEstimate,
  SupportOptions,
  SupportReport,
} from './engine/support.ts';
export { type ErrorCode, isOssicleError, OssicleError } from './errors.ts';
export { load } from './load.ts';
export type { Model } from './model.ts';
export {
  type DamagedChunk,
  type ImportOptions,
  type ModelStore,
  type StoredModel,
  type StoreUsage,
  store,
  type TaskOptions,
  type VerifyResult,
} from './model-store.ts';
export type * from './types.ts';
