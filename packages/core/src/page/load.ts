import { checkLoadOptions } from '../check-values.ts';
import { notify } from '../notify.ts';
import { resolveSource } from '../sources/resolve-source.ts';
import type { LoadOptions, LoadProgress, ModelInfo, ModelSource } from '../types/load.ts';
import { type Model, WorkerModel } from './model.ts';
import { toWorker, WorkerClient } from './worker-client.ts';

/** The model to load if no source is given. */
const DEFAULT_SOURCE = 'openai/gpt-oss-20b';

/** How long the worker may take to abort a load before it is terminated. */
const ABORT_PATIENCE_MS = 1000;

/**
 * Loads a model into its own worker. The first load stores the published files in the browser's private file system;
 * later loads read them from there, without any request.
 *
 * @param source - A Hugging Face repo (`owner/name`, `owner/name@revision`) or a GGUF file in one
 * (`owner/name/file.gguf`), the URL of a folder or a GGUF file (`https://…`, `./…`), picked files, or a directory.
 * Default: `openai/gpt-oss-20b`.
 * @throws {@link OssicleError} if the model cannot be loaded; its `code` says why. TypeError or RangeError if an
 * argument is wrong. `signal.reason` if aborted.
 */
export async function load(
  source: ModelSource = DEFAULT_SOURCE,
  options: LoadOptions = {},
): Promise<Model> {
  checkLoadOptions(options);
  const { onProgress, signal, worker: own, ...plain } = options;
  signal?.throwIfAborted();
  const resolved = resolveSource(source);
  const worker = new WorkerClient(toWorker(own));
  let patience: ReturnType<typeof setTimeout> | undefined;
  const limitPatience = (): void => {
    // Compilation cannot be interrupted. Stored bytes are safe if the worker is terminated.
    patience = setTimeout(() => void worker.dispose(), ABORT_PATIENCE_MS);
  };
  signal?.addEventListener('abort', limitPatience);
  try {
    const info = await worker.run<ModelInfo, LoadProgress>(
      (service, task) => service.load(...task, resolved, plain),
      { signal, onReport: (progress) => notify(onProgress, progress) },
    );
    signal?.throwIfAborted();
    return new WorkerModel(worker, info);
  } catch (error) {
    void worker.dispose();
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', limitPatience);
    clearTimeout(patience);
  }
}
