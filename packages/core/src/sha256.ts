/** The size of a SHA-256 block. */
const BLOCK_BYTES = 64;

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, §4.2.2). */
const ROUND_CONSTANTS: Int32Array = fractionsOfRoots(64, Math.cbrt);

/** The first 32 bits of the fractional parts of the square roots of the first 8 primes (FIPS 180-4, §5.3.3). */
const INITIAL_STATE: Int32Array = fractionsOfRoots(8, Math.sqrt);

/**
 * Incremental SHA-256 (FIPS 180-4), which WebCrypto does not offer. Its state between two blocks can be saved and
 * resumed.
 */
export class Sha256 {
  readonly #state: Int32Array;
  readonly #schedule = new Int32Array(64);
  readonly #block = new Uint8Array(BLOCK_BYTES);
  #sizeBytes: number;

  /**
   * @param from - Resumes from the {@link Sha256.state} after `sizeBytes` bytes.
   * @throws RangeError if that is not between two blocks.
   */
  constructor(from?: { readonly state: Uint8Array; readonly sizeBytes: number }) {
    if (from && (from.sizeBytes % BLOCK_BYTES !== 0 || from.state.length !== 32)) {
      throw new RangeError('A hash can only be resumed between two blocks of 64 bytes');
    }
    this.#state = from ? wordsOf(from.state) : INITIAL_STATE.slice();
    this.#sizeBytes = from?.sizeBytes ?? 0;
  }

  /** Hashes more bytes. */
  update(bytes: Uint8Array): void {
    const filled = this.#sizeBytes % BLOCK_BYTES;
    this.#sizeBytes += bytes.length;
    let start = 0;
    if (filled > 0) {
      start = Math.min(BLOCK_BYTES - filled, bytes.length);
      this.#block.set(bytes.subarray(0, start), filled);
      if (filled + start < BLOCK_BYTES) return;
      compress(this.#state, this.#schedule, this.#block);
    }
    const end = bytes.length - ((bytes.length - start) % BLOCK_BYTES);
    compress(this.#state, this.#schedule, bytes.subarray(start, end));
    this.#block.set(bytes.subarray(end));
  }

  /**
   * The state to resume from: 32 bytes.
   *
   * @throws RangeError if the bytes so far are not whole blocks.
   */
  state(): Uint8Array<ArrayBuffer> {
    if (this.#sizeBytes % BLOCK_BYTES !== 0) {
      throw new RangeError(`${this.#sizeBytes} bytes are not whole blocks of 64`);
    }
    return bytesOf(this.#state);
  }

  /** The hash of all bytes so far: 32 bytes. More bytes may follow. */
  digest(): Uint8Array<ArrayBuffer> {
    const filled = this.#sizeBytes % BLOCK_BYTES;
    const last = new Uint8Array(filled < 56 ? BLOCK_BYTES : 2 * BLOCK_BYTES);
    last.set(this.#block.subarray(0, filled));
    last[filled] = 0x80;
    new DataView(last.buffer).setBigUint64(last.length - 8, BigInt(this.#sizeBytes) * 8n);
    const state = this.#state.slice();
    compress(state, this.#schedule, last);
    return bytesOf(state);
  }
}

/** Bytes as hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Checks that a text is a SHA-256 in lower-case hexadecimal digits. */
export function isSha256(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/**
 * Advances the state by whole blocks (FIPS 180-4, §6.2.2). Four rounds per turn, so that few variables move. Without
 * `| 0` where the variables begin, V8 may not keep them as plain integers, which costs more than half of the speed.
 */
function compress(state: Int32Array, w: Int32Array, bytes: Uint8Array): void {
  const k = ROUND_CONSTANTS;
  let h0 = (state[0] as number) | 0;
  let h1 = (state[1] as number) | 0;
  let h2 = (state[2] as number) | 0;
  let h3 = (state[3] as number) | 0;
  let h4 = (state[4] as number) | 0;
  let h5 = (state[5] as number) | 0;
  let h6 = (state[6] as number) | 0;
  let h7 = (state[7] as number) | 0;
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    expand(w, bytes, at);
    let a = h0 | 0;
    let b = h1 | 0;
    let c = h2 | 0;
    let d = h3 | 0;
    let e = h4 | 0;
    let f = h5 | 0;
    let g = h6 | 0;
    let h = h7 | 0;
    for (let i = 0; i < 64; i += 4) {
      const t0 = (h + mix1(e) + (g ^ (e & (f ^ g))) + (k[i] as number) + (w[i] as number)) | 0;
      d = (d + t0) | 0;
      h = (t0 + mix0(a) + ((a & b) | (c & (a | b)))) | 0;
      const t1 =
        (g + mix1(d) + (f ^ (d & (e ^ f))) + (k[i + 1] as number) + (w[i + 1] as number)) | 0;
      c = (c + t1) | 0;
      g = (t1 + mix0(h) + ((h & a) | (b & (h | a)))) | 0;
      const t2 =
        (f + mix1(c) + (e ^ (c & (d ^ e))) + (k[i + 2] as number) + (w[i + 2] as number)) | 0;
      b = (b + t2) | 0;
      f = (t2 + mix0(g) + ((g & h) | (a & (g | h)))) | 0;
      const t3 =
        (e + mix1(b) + (d ^ (b & (c ^ d))) + (k[i + 3] as number) + (w[i + 3] as number)) | 0;
      e = (a + t3) | 0;
      a = (t3 + mix0(f) + ((f & g) | (h & (f | g)))) | 0;
      let moved = b;
      b = f;
      f = moved;
      moved = c;
      c = g;
      g = moved;
      moved = d;
      d = h;
      h = moved;
    }
    h0 = (h0 + a) | 0;
    h1 = (h1 + b) | 0;
    h2 = (h2 + c) | 0;
    h3 = (h3 + d) | 0;
    h4 = (h4 + e) | 0;
    h5 = (h5 + f) | 0;
    h6 = (h6 + g) | 0;
    h7 = (h7 + h) | 0;
  }
  state.set([h0, h1, h2, h3, h4, h5, h6, h7]);
}

/** Fills the message schedule `w` from the block at `at`. */
function expand(w: Int32Array, bytes: Uint8Array, at: number): void {
  for (let i = 0, j = at; i < 16; i++, j += 4) {
    w[i] =
      ((bytes[j] as number) << 24) |
      ((bytes[j + 1] as number) << 16) |
      ((bytes[j + 2] as number) << 8) |
      (bytes[j + 3] as number);
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15] as number;
    const y = w[i - 2] as number;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = ((w[i - 16] as number) + s0 + (w[i - 7] as number) + s1) | 0;
  }
}

/** Σ0 of FIPS 180-4, §4.1.2. */
function mix0(x: number): number {
  return ((x >>> 2) | (x << 30)) ^ ((x >>> 13) | (x << 19)) ^ ((x >>> 22) | (x << 10));
}

/** Σ1 of FIPS 180-4, §4.1.2. */
function mix1(x: number): number {
  return ((x >>> 6) | (x << 26)) ^ ((x >>> 11) | (x << 21)) ^ ((x >>> 25) | (x << 7));
}

function fractionsOfRoots(count: number, root: (prime: number) => number): Int32Array {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) {
    if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  }
  return Int32Array.from(primes, (prime) => (root(prime) % 1) * 2 ** 32);
}

function wordsOf(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(4 * i));
}

function bytesOf(words: Int32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4 * words.length);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => {
    view.setInt32(4 * i, word);
  });
  return bytes;
}

/** The first 16 hexadecimal digits of the SHA-256 of a text. Unlike WebCrypto, also works on insecure pages. */
export function shortHash(text: string): string {
  const hash = new Sha256();
  hash.update(new TextEncoder().encode(text));
  return toHex(hash.digest()).slice(0, 16);
}
