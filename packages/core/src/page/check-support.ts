import { checkLoadOptions } from '../check-values.ts';
import { isOssicleError } from '../errors.ts';
import { resolveSource } from '../sources/resolve-source.ts';
import type { ModelSource } from '../types/load.ts';
import type { SupportOptions, SupportReport } from '../types/support.ts';
import { runInWorker } from './worker-client.ts';

/**
 * Checks whether a model would run here, before it is downloaded. Reads only the headers of its files, from the store
 * if they are all there. Allocates the GPU memory that the model needs, copies within it for a few hundredths of a
 * second to measure its speed, and frees it.
 *
 * @param source - Like the source of {@link load}. If omitted, only the machine is checked, without any request.
 * @throws {@link OssicleError} if the source cannot be read, or is not a gpt-oss checkpoint. TypeError or RangeError if
 * an argument is wrong. `signal.reason` if aborted.
 */
export async function checkSupport(
  source?: ModelSource,
  options: SupportOptions = {},
): Promise<SupportReport> {
  checkLoadOptions(options);
  const { signal, worker, ...plain } = options;
  const resolved = source === undefined ? undefined : resolveSource(source);
  try {
    return await runInWorker((service, task) => service.checkSupport(...task, resolved, plain), {
      signal,
      worker,
    });
  } catch (error) {
    if (!isOssicleError(error) || error.code !== 'worker-failed') throw error;
    return { isSupported: false, reasons: [error.message] };
  }
}
