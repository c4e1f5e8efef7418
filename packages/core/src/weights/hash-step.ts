import { Sha256 } from './sha256.ts';

/** A chunk to take a file's SHA-256 further by. */
export interface HashStep {
  /** The hash's state before the chunk; absent for the first one. */
  readonly state?: Uint8Array | undefined;
  /** Bytes of the file before the chunk. */
  readonly offsetBytes: number;
  /** Holds the chunk. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The size of the chunk. */
  readonly sizeBytes: number;
  /** Whether the file ends with it. */
  readonly isLast: boolean;
}

/** Takes a hash further: gives its state after the chunk, or the file's hash where that was its last one. */
export function advanceHash({
  state,
  offsetBytes,
  bytes,
  sizeBytes,
  isLast,
}: HashStep): Uint8Array<ArrayBuffer> {
  const sha256 = new Sha256(state && { state, sizeBytes: offsetBytes });
  sha256.update(bytes.subarray(0, sizeBytes));
  return isLast ? sha256.digest() : sha256.state();
}
