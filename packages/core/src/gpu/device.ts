import { messageOf, OssicleError } from '../errors.ts';

/** Requested if the adapter has them: for the profiler, and for variants of kernels. No kernel needs one. */
const USEFUL_FEATURES: readonly GPUFeatureName[] = ['timestamp-query', 'shader-f16', 'subgroups'];

/** Limits that larger models need raised above WebGPU's defaults, or are faster with; requested at the adapter's maximum. */
const USEFUL_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/**
 * Finds the fastest adapter of this machine.
 *
 * @throws {@link OssicleError} `webgpu-unavailable` if there is no WebGPU or no adapter.
 */
export async function requestAdapter(): Promise<GPUAdapter> {
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (!gpu) {
    throw new OssicleError(
      'webgpu-unavailable',
      globalThis.isSecureContext === false
        ? 'This page is not secure, and browsers give WebGPU and storage to secure pages only. ' +
            'Open it over HTTPS, or from localhost.'
        : 'This browser has no WebGPU. Use a current Chrome or Edge.',
    );
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw new OssicleError(
      'webgpu-unavailable',
      'WebGPU found no graphics adapter. Update the graphics driver, and see chrome://gpu for what is blocked. ' +
        'If WebGPU worked here before, the browser may have blocked it for this page after crashes of the GPU process: ' +
        'reload the page; if that does not help, restart the browser.',
    );
  }
  return adapter;
}

/**
 * Requests a device with the adapter's real limits on buffers, bindings and workgroup memory, which WebGPU does not give
 * unasked, and with the features that the profiler and variants of kernels can use.
 *
 * @param adapter - Default: the fastest of this machine.
 * @throws {@link OssicleError} `webgpu-unavailable` if the adapter gives no device.
 */
export async function requestDevice(adapter?: GPUAdapter): Promise<GPUDevice> {
  const chosen = adapter ?? (await requestAdapter());
  const requiredFeatures = USEFUL_FEATURES.filter((feature) => chosen.features.has(feature));
  const requiredLimits = Object.fromEntries(
    USEFUL_LIMITS.map((limit) => [limit, chosen.limits[limit]]),
  );
  try {
    return await chosen.requestDevice({ label: 'ossicle', requiredFeatures, requiredLimits });
  } catch (cause) {
    throw new OssicleError(
      'webgpu-unavailable',
      `The graphics adapter gave no device: ${messageOf(cause)} ` +
        'Reload the page; if it happens again, restart the browser.',
      { cause },
    );
  }
}

/** The browser and the system, as the browser describes them; empty where there is none. */
export function describeBrowser(): string {
  return (globalThis.navigator as Navigator | undefined)?.userAgent ?? '';
}

/** How long after an aborted map a busy machine may take to report that the device was lost. */
const LOSS_PATIENCE_MS = 2000;

/** A device and its health: its loss, and errors that no scope catches, fail whatever is running. */
export class Gpu {
  /** The device. Only this layer creates buffers and pipelines on it. */
  readonly device: GPUDevice;
  #failure: OssicleError | undefined;
  #isDisposed = false;
  readonly #listeners = new Set<(error: OssicleError) => void>();

  /** @param device - Stays the caller's: {@link Gpu} never destroys it. */
  constructor(device: GPUDevice) {
    this.device = device;
    device.addEventListener('uncapturederror', this.#onUncapturedError);
    void device.lost.then(({ reason, message }) => {
      if (this.#isDisposed) return;
      this.#fail(
        new OssicleError(
          'device-lost',
          `The GPU device was lost (${reason}${message ? `: ${message.trim()}` : ''}). Load the model again.`,
        ),
      );
    });
  }

  /** Throws the device's failure, if it has failed. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Awaits GPU work. Rejects as soon as the device fails, so that no wait outlives it. */
  async settle<T>(work: Promise<T>): Promise<T> {
    work.catch(() => undefined); // its own failure no longer matters if the device has failed
    this.check();
    let listener: ((error: OssicleError) => void) | undefined;
    const failed = new Promise<never>((_, reject) => {
      listener = reject;
      this.#listeners.add(reject);
    });
    try {
      const value = await Promise.race([work, failed]);
      this.check();
      return value;
    } catch (error) {
      // A lost device aborts its pending maps before `lost` resolves: the failure says more than the abort.
      if (!this.#failure && !this.#isDisposed && error instanceof DOMException)
        await Promise.race([failed, pause(LOSS_PATIENCE_MS)]);
      throw this.#failure ?? error;
    } finally {
      if (listener) this.#listeners.delete(listener);
    }
  }

  /** Stops watching the device. */
  dispose(): void {
    this.#isDisposed = true;
    this.device.removeEventListener('uncapturederror', this.#onUncapturedError);
  }

  readonly #onUncapturedError = (event: Event): void => {
    event.preventDefault();
    const { error } = event as GPUUncapturedErrorEvent;
    const outOfMemory =
      typeof GPUOutOfMemoryError !== 'undefined' && error instanceof GPUOutOfMemoryError;
    this.#fail(
      new OssicleError(
        outOfMemory ? 'out-of-memory' : 'gpu-error',
        outOfMemory
          ? `The GPU is out of memory: ${error.message} Close other tabs, or use a shorter context.`
          : `The GPU reported an error: ${error.message}`,
      ),
    );
  };

  #fail(error: OssicleError): void {
    this.#failure ??= error;
    for (const reject of this.#listeners) reject(this.#failure);
    this.#listeners.clear();
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
