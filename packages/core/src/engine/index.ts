/**
 * ossicle without page or worker: for Node, Deno, a worker of your own, tests and benches.
 *
 * @packageDocumentation
 */

export type {
  Channel,
  Message,
  Role,
  ToolDefinition,
} from '@ossicle/harmony';
export { type ErrorCode, isOssicleError, OssicleError } from '../errors.ts';
export { requestDevice } from '../gpu/device.ts';
export type { ModelConfig, RopeConfig } from '../model/config.ts';
export type {
  AdapterSummary,
  DenseFormat,
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
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
} from '../types.ts';
export { createEngine, type Engine, type EngineOptions } from './engine.ts';
export type { PlanOptions } from './plan.ts';
export type { Session } from './session.ts';
export type { Tokenizer } from './tokenizer.ts';
