import { checksumBuffers } from '../../kernels/checksum.ts';
import { shadersChecksum } from '../../kernels/shaders.ts';
import type { Runtime } from '../../model/runtime.ts';
import { shortHash } from '../../sha256.ts';

const identities = new WeakMap<Runtime['weights'], Promise<string>>();

/**
 * Identifies all that the keys and values of a text depend on: the weights as they lie on the GPU, the config, the kernels, and
 * the layout of the cache. The first call reads all weights on the GPU.
 *
 * @throws {@link OssicleError} `out-of-memory`, `device-lost`.
 */
export function identityOf(runtime: Runtime): Promise<string> {
  const known = identities.get(runtime.weights);
  if (known) return known;
  const identity = identify(runtime);
  identities.set(runtime.weights, identity);
  identity.catch(() => identities.delete(runtime.weights)); // there may be memory the next time
  return identity;
}

async function identify({ gpu, weights, config, shape }: Runtime): Promise<string> {
  const checksum = await checksumBuffers(gpu, buffersIn(weights));
  const { kvCache, prefill, ringCapacity } = shape;
  const layout = { kvCache, prefill, ringCapacity, shaders: shadersChecksum() };
  return shortHash(JSON.stringify([...checksum, config, layout]));
}

/** All buffers in a structure of them. */
function buffersIn(tree: unknown): GPUBuffer[] {
  if (typeof tree !== 'object' || tree === null) return [];
  return 'mapAsync' in tree ? [tree as GPUBuffer] : Object.values(tree).flatMap(buffersIn);
}
