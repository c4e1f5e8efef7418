/**
 * ossicle without page or worker: for Node, Deno, a worker of your own, tests and benches.
 *
 * @packageDocumentation
 */

export { type ErrorCode, isOssicleError, OssicleError } from '../errors.ts';
export { requestDevice } from '../gpu/device.ts';
export type * from '../types.ts';
export { createEngine, type Engine, type EngineOptions } from './engine.ts';
export type { Session } from './session.ts';
export type { Tokenizer } from './tokenizer.ts';
