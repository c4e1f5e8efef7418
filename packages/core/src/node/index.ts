/**
 * What Node adds to ossicle/engine: checkpoints on disk.
 *
 * @packageDocumentation
 */

export { fileSource } from './file-source.ts';
