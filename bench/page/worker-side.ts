import type { GpuSide } from '../gpu/measure.ts';

/** A call of the page: a method of {@link GpuSide}, or the name of its adapter, and its arguments. */
export type WorkerCall =
  | readonly ['adapter']
  | readonly ['open', ...Parameters<GpuSide['open']>]
  | readonly ['measure', string]
  | readonly ['close'];

/** The worker's answer. */
export type WorkerAnswer = { readonly value: unknown } | { readonly error: string };

/** The stages in a worker. @throws Error if there is no WebGPU. */
export async function startWorkerSide(): Promise<GpuSide> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  const call = <T>(...message: WorkerCall): Promise<T> =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => {
        if ('error' in data) reject(new Error(data.error));
        else resolve(data.value as T);
      };
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(message);
    });
  return {
    adapter: await call('adapter'),
    open: (...args) => call('open', ...args),
    measure: (measurement) => call('measure', measurement),
    close: () => call('close'),
  };
}
