import { Sha256 } from '../../sha256.ts';

/** The next bytes of a file's SHA-256. */
export interface HashStep {
  /** The hash's state before them; absent at the start of the file. */
  readonly state?: Uint8Array | undefined;
  /** Their offset in the file. */
  readonly offsetBytes: number;
  /** Memory that begins with them. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sizeBytes: number;
  /** Whether the file ends with them. */
  readonly isLast: boolean;
}

/** Adds bytes to a hash. @returns Its state after them, or at the end of the file the hash itself. */
export function advanceHash(step: HashStep): Uint8Array<ArrayBuffer> {
  const { state, offsetBytes, bytes, sizeBytes, isLast } = step;
  const sha256 = new Sha256(state && { state, sizeBytes: offsetBytes });
  sha256.update(bytes.subarray(0, sizeBytes));
  return isLast ? sha256.digest() : sha256.state();
}
