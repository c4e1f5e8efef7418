/**
 * Why an operation failed, for programs; the message of the error is for people.
 *
 * - `webgpu-unavailable`: no WebGPU, or no adapter.
 * - `device-unsuitable`: the adapter's limits or memory are too small for the model.
 * - `device-lost`: the GPU device was lost (driver reset, sleep, crash of the GPU process).
 * - `out-of-memory`: a GPU allocation failed.
 * - `download-failed`: the source could not be read (network, HTTP status, missing file).
 * - `integrity`: bytes arrived, but not the right ones (truncated, changed, wrong hash).
 * - `storage-full`: the browser refused to store more bytes.
 * - `storage-unavailable`: the browser gives this page no storage, or took it away.
 * - `model-in-use`: a stored model is being downloaded or loaded, here or in another tab.
 * - `format-invalid`: a file is not what it should be (header, offsets, shapes, dtypes).
 * - `context-overflow`: the tokens do not fit in the context length.
 * - `gpu-error`: the GPU reported a validation or internal error, or logits that are not numbers.
 * - `worker-failed`: the browser did not start the library's worker, or it crashed.
 * - `disposed`: the model, engine or session was disposed of.
 */
export type ErrorCode =
  | 'webgpu-unavailable'
  | 'device-unsuitable'
  | 'device-lost'
  | 'out-of-memory'
  | 'download-failed'
  | 'integrity'
  | 'storage-full'
  | 'storage-unavailable'
  | 'model-in-use'
  | 'format-invalid'
  | 'context-overflow'
  | 'gpu-error'
  | 'worker-failed'
  | 'disposed';

/** Marks errors of every copy of this library; `instanceof` knows those of one copy only. */
const BRAND = Symbol.for('ossicle.error');

/** Every failure that ossicle raises by itself. Wrong arguments raise `TypeError` or `RangeError`; aborts raise `signal.reason`. */
export class OssicleError extends Error {
  override readonly name = 'OssicleError';
  /** What went wrong, for programs. */
  readonly code: ErrorCode;

  /**
   * @param code - What went wrong, for programs.
   * @param message - A sentence for people: what happened, the numbers, the next step.
   * @param options - `cause`: the error that this one stems from.
   */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Says whether a value is an {@link OssicleError}, also one made by another copy of this library or in a worker. */
export function isOssicleError(value: unknown): value is OssicleError {
  return typeof value === 'object' && value !== null && BRAND in value;
}

/** What something that was thrown says. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
