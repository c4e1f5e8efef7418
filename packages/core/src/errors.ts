/**
 * Why an operation failed, for programs; the error's message is for people.
 *
 * - `webgpu-unavailable`: no WebGPU, or no adapter.
 * - `device-unsuitable`: the adapter's limits or memory are too small for the model.
 * - `device-lost`: the GPU device was lost (driver reset, sleep, crash of the GPU process).
 * - `out-of-memory`: a GPU allocation failed.
 * - `download-failed`: the source could not be read (network, HTTP status, missing file, moved local file).
 * - `integrity`: bytes arrived, but the wrong ones (truncated, changed, wrong hash).
 * - `storage-full`: the browser refused to store more bytes.
 * - `storage-unavailable`: the browser gives this page no storage, or took it away.
 * - `model-in-use`: a stored model is being downloaded or loaded, here or in another tab.
 * - `format-invalid`: a file breaks its format or does not fit the model (header, offsets, shapes).
 * - `format-unsupported`: a gpt-oss model in a format, quantization or dtype that ossicle does not read (MLX, ONNX, LoRA,
 *   Q4_K, float8).
 * - `context-overflow`: the tokens do not fit in the context length.
 * - `answer-invalid`: the model's answer is not of the form that was asked for.
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
  | 'format-unsupported'
  | 'context-overflow'
  | 'answer-invalid'
  | 'gpu-error'
  | 'worker-failed'
  | 'disposed';

/** Marks the errors of every copy of this library; `instanceof` knows those of one copy only. */
const BRAND = Symbol.for('ossicle.error');

/** A failure that ossicle reports. Wrong arguments throw `TypeError` or `RangeError`; aborts throw `signal.reason`. */
export class OssicleError extends Error {
  override readonly name = 'OssicleError';
  /** What went wrong, for programs. */
  readonly code: ErrorCode;

  /**
   * @param code - What went wrong, for programs.
   * @param message - A sentence for people: what happened, the numbers, the next step.
   * @param options - `cause`: the error that led to this one.
   */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Checks whether a value is an {@link OssicleError}, even one from another copy of this library or from a worker. */
export function isOssicleError(value: unknown): value is OssicleError {
  return typeof value === 'object' && value !== null && BRAND in value;
}

/** The error for a file that breaks its format or does not fit the model. */
export function formatInvalid(message: string, cause?: unknown): OssicleError {
  return new OssicleError('format-invalid', message, { cause });
}

/** A JSON value of a file, for messages: cut short, since it may have any length and depth. */
export function shownJson(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? 'undefined';
  } catch {
    text = 'a value nested too deeply';
  }
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** The message of a thrown value. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
