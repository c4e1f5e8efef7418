import { Sha256 } from '../sha256.ts';

/** Bytes to take a file's SHA-256 further by. */
export interface HashStep {
  /** The hash's state before them; absent for the file's first ones. */
  readonly state?: Uint8Array | undefined;
  /** Bytes of the file before them. */
  readonly offsetBytes: number;
  /** Holds them. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many they are. */
  readonly sizeBytes: number;
  /** Whether the file ends with them. */
  readonly isLast: boolean;
}

/** Takes a hash further: gives its state after the bytes, or the file's hash where those were its last ones. */
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
