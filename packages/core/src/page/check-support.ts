import { isOssicleError } from '../errors.ts';
import { resolveSource } from '../sources/resolve-source.ts';
import type { ModelSource } from '../types/load.ts';
import type { SupportOptions, SupportReport } from '../types/support.ts';
import { runInWorker } from './worker-client.ts';

/**
 * Finds out beforehand whether a model would run here. Reads the headers of its files only, from the store where it has
 * all of them. Takes the memory that the model needs from the GPU, and gives it back; copies within it for some
 * hundredths of a second.
 *
 * @param source - As of {@link load}. Without one, only the machine is looked at: no request is made.
 * @throws {@link OssicleError} where the source cannot be read, or is not a gpt-oss checkpoint. TypeError and RangeError on wrong
 * arguments. `signal.reason`.
 */
export async function checkSupport(
  source?: ModelSource,
  options: SupportOptions = {},
): Promise<SupportReport> {
  const { signal, ...plain } = options;
  const resolved = source === undefined ? undefined : resolveSource(source);
  try {
    return await runInWorker((service, task) => service.checkSupport(...task, resolved, plain), {
      signal,
    });
  } catch (error) {
    if (!isOssicleError(error) || error.code !== 'worker-failed') throw error;
    return { isSupported: false, reasons: [error.message] };
  }
}
