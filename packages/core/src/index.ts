/**
 * Runs OpenAI's gpt-oss models in the browser, on WebGPU.
 *
 * @packageDocumentation
 */

export type { Channel, Message, Role, ToolDefinition } from '@ossicle/harmony';
export {
  checkSupport,
  type LimitCheck,
  type SpeedEstimate,
  type SupportOptions,
  type SupportReport,
} from './check-support.ts';
export type { PlanOptions } from './engine/plan.ts';
export { type ErrorCode, isOssicleError, OssicleError } from './errors.ts';
export { load } from './load.ts';
export type { ModelConfig, RopeConfig } from './model/config.ts';
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
export type {
  AdapterSummary,
  DenseFormat,
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
  HuggingFaceOptions,
  JSONSchema,
  KvCacheFormat,
  LoadOptions,
  LoadProgress,
  ModelInfo,
  ModelSource,
  SystemMessage,
  Timings,
  TokenLogprob,
  TokenLogprobs,
  ToolCall,
  Usage,
} from './types.ts';
