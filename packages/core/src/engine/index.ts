/**
 * ossicle without page or worker: for Node, Deno, a worker of your own, tests and benches.
 *
 * @packageDocumentation
 */

export { type ErrorCode, isOssicleError, OssicleError } from '../errors.ts';
export { requestDevice } from '../gpu/device.ts';
export type * from '../types/config.ts';
export type * from '../types/generate.ts';
export type * from '../types/load.ts';
export type { Engine } from './engine.ts';
export { createEngine, type EngineOptions } from './load/create-engine.ts';
export type { Session } from './session.ts';
export type { Tokenizer } from './tokenizer.ts';
