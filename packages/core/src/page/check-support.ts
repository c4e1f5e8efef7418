import { isOssicleError } from '../errors.ts';
import { resolveSource } from '../sources/resolve-source.ts';
import type { ModelSource } from '../types/load.ts';
import type { SupportOptions, SupportReport } from '../types/support.ts';
import { inWorker } from './worker-client.ts';

/**
 * Checks in advance whether a model will run here. Reads only the headers of its files, from the store if it has the
 * whole model. Allocates the model's memory on the GPU for a moment, and copies within it for some hundredths of a
 * second.
 *
 * @param source - See {@link load}. If absent, only the machine is checked, without a request.
 * @throws {@link OssicleError} if the source cannot be read, or is not a gpt-oss checkpoint. TypeError and RangeError
 * for wrong arguments. `signal.reason`.
 */
export async function checkSupport(
  source?: ModelSource,
  options: SupportOptions = {},
): Promise<SupportReport> {
  const { signal, ...plain } = options;
  const resolved = source === undefined ? undefined : resolveSource(source);
  try {
    return await inWorker(signal, (service) => service.checkSupport(resolved, plain));
  } catch (error) {
    if (!isOssicleError(error) || error.code !== 'worker-failed') throw error;
    return { isSupported: false, reasons: [error.message] };
  }
}
