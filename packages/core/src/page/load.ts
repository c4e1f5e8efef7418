import { notify } from '../notify.ts';
import { resolveSource } from '../sources/resolve-source.ts';
import type { LoadOptions, LoadProgress, ModelSource } from '../types/load.ts';
import { type Model, WorkerModel } from './model.ts';
import { callback, ModelWorker } from './worker-client.ts';

/** The model that is loaded where none is named. */
const DEFAULT_SOURCE = 'openai/gpt-oss-20b';

/** How long the worker may take to abort a load before it is ended. */
const ABORT_PATIENCE_MS = 1000;

/**
 * Loads a model into a worker of its own. The first load stores the published files in the browser's private file
 * system, from where later ones come without a request.
 *
 * @param source - A Hugging Face repo (`owner/name`, `owner/name@revision`) or a GGUF file of one
 * (`owner/name/file.gguf`), the address of a folder or of a GGUF file (`https://…`, `./…`), picked files, or a directory. Default: `openai/gpt-oss-20b`.
 * @throws {@link OssicleError} with a code that says why. `signal.reason` where the load is aborted. TypeError and
 * RangeError on wrong arguments.
 */
export async function load(
  source: ModelSource = DEFAULT_SOURCE,
  options: LoadOptions = {},
): Promise<Model> {
  const { onProgress, signal, ...plain } = options;
  signal?.throwIfAborted();
  const resolved = resolveSource(source);
  const worker = new ModelWorker();
  let isSettled = false;
  let allReported: () => void = () => undefined;
  const reported = new Promise<void>((resolve) => {
    allReported = resolve;
  });
  let patience: ReturnType<typeof setTimeout> | undefined;
  const abort = (): void => {
    worker.call((service) => service.abortTask()).catch(() => undefined);
    // Compiling cannot be interrupted. What is stored is safe without the worker.
    patience = setTimeout(() => void worker.dispose(), ABORT_PATIENCE_MS);
  };
  signal?.addEventListener('abort', abort);
  try {
    const report = callback((progress: LoadProgress) => {
      if (isSettled) return;
      if (progress.phase === 'ready') allReported();
      notify(onProgress, progress);
    });
    const info = await worker.call((service) => service.load(resolved, plain, report));
    await worker.call(() => reported); // progress has a channel of its own, and may be on its way
    signal?.throwIfAborted();
    return new WorkerModel(worker, info);
  } catch (error) {
    void worker.dispose();
    throw signal?.aborted ? signal.reason : error;
  } finally {
    isSettled = true;
    signal?.removeEventListener('abort', abort);
    clearTimeout(patience);
  }
}
