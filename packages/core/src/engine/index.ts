/**
 * ossicle without a page or a worker of its own: for Node, Deno, your own worker, tests and benchmarks.
 *
 * @packageDocumentation
 */

export { type ErrorCode, isOssicleError, OssicleError } from '../errors.ts';
export { type Classifier, classify } from '../generation/classify.ts';
export { hasToolCall, stepCountIs } from '../generation/stop-conditions.ts';
export {
  type SchemaIssue,
  type SchemaResult,
  type StandardSchema,
  type TypedTool,
  tool,
} from '../generation/tool.ts';
export { requestDevice } from '../gpu/device.ts';
export type * from '../types/classify.ts';
export type * from '../types/config.ts';
export type * from '../types/diagnosis.ts';
export type * from '../types/generate.ts';
export type * from '../types/load.ts';
export type { Write } from './conversation/saved-conversation.ts';
export type { Engine } from './engine.ts';
export { createEngine, type EngineOptions } from './load/create-engine.ts';
export type { Session } from './session.ts';
export type { Tokenizer } from './tokenizer.ts';
