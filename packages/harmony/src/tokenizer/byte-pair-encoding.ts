/** Byte-pair encoding: the table of merges, and the encoding of one piece of text. */

// Multipliers that hash a pair to its slot. The table is at most half full.
const HASH_LEFT = 0x9e3779b1;
const HASH_RIGHT = 0x85ebca6b;

// Heap keys are rank * POSITIONS + position: exact in a double up to 2^53.
const POSITIONS = 2 ** 27;

const SCRATCH_LENGTH = 1024;

/** Which two tokens merge into one, in order of priority. */
export class MergeTable {
  // Open addressing; left is -1 in a free slot.
  readonly #left: Int32Array;
  readonly #right: Int32Array;
  readonly #rank: Int32Array;
  readonly #merged: Int32Array;
  readonly #mask: number;
  #size = 0;
  readonly #scratch: Scratch = createScratch(SCRATCH_LENGTH);

  /** @param count - The maximum number of merges to be added. */
  constructor(count: number) {
    let capacity = 2;
    while (capacity < 2 * count) capacity *= 2;
    this.#mask = capacity - 1;
    this.#left = new Int32Array(capacity).fill(-1);
    this.#right = new Int32Array(capacity);
    this.#rank = new Int32Array(capacity);
    this.#merged = new Int32Array(count);
  }

  /** Adds a merge. Merges added earlier take priority. */
  add(left: number, right: number, merged: number): void {
    const rank = this.#size;
    const slot = this.#slot(left, right);
    this.#left[slot] = left;
    this.#right[slot] = right;
    this.#rank[slot] = rank;
    this.#merged[rank] = merged;
    this.#size += 1;
  }

  /**
   * Encodes a piece of text: merges the adjacent pair of the lowest rank, the leftmost among equals, until no merge
   * applies. A heap of pairs and a linked list of tokens make it O(n log n).
   *
   * @param bytes - The piece, as UTF-8.
   * @param byteIds - [256] The id of each single byte.
   * @param output - Receives the ids.
   */
  encode(bytes: Uint8Array, byteIds: Int32Array, output: number[]): void {
    const length = bytes.length;
    if (length >= POSITIONS) {
      throw new RangeError(
        `A piece of text has ${length} bytes; at most ${POSITIONS - 1} can be encoded.`,
      );
    }
    const scratch = length <= SCRATCH_LENGTH ? this.#scratch : createScratch(length);
    const { ids, next, previous, rank, heap } = scratch;
    let heapSize = 0;

    const rankPair = (position: number): void => {
      const after = next[position]!;
      const found = after < length ? this.#find(ids[position]!, ids[after]!) : -1;
      rank[position] = found;
      if (found >= 0) heapSize = push(heap, heapSize, found * POSITIONS + position);
    };

    for (let i = 0; i < length; i++) {
      ids[i] = byteIds[bytes[i]!]!;
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (let i = 0; i < length; i++) rankPair(i);

    while (heapSize > 0) {
      const key = heap[0]!;
      heapSize = pop(heap, heapSize);
      const position = key % POSITIONS;
      const best = (key - position) / POSITIONS;
      // Stale: the pair has changed since it was pushed.
      if (rank[position] !== best) continue;
      const after = next[position]!;
      const following = next[after]!;
      ids[position] = this.#merged[best]!;
      next[position] = following;
      if (following < length) previous[following] = position;
      rank[after] = -1;
      rankPair(position);
      if (previous[position]! >= 0) rankPair(previous[position]!);
    }
    for (let i = 0; i < length; i = next[i]!) output.push(ids[i]!);
  }

  #find(left: number, right: number): number {
    const slot = this.#slot(left, right);
    return this.#left[slot] === -1 ? -1 : this.#rank[slot]!;
  }

  #slot(left: number, right: number): number {
    let hash = Math.imul(left, HASH_LEFT) ^ Math.imul(right, HASH_RIGHT);
    hash ^= hash >>> 15;
    let slot = hash & this.#mask;
    while (this.#left[slot] !== -1 && (this.#left[slot] !== left || this.#right[slot] !== right)) {
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }
}

interface Scratch {
  readonly ids: Int32Array;
  readonly next: Int32Array;
  readonly previous: Int32Array;
  readonly rank: Int32Array;
  readonly heap: Float64Array;
}

function createScratch(length: number): Scratch {
  return {
    ids: new Int32Array(length),
    next: new Int32Array(length),
    previous: new Int32Array(length),
    rank: new Int32Array(length),
    // One entry per initial pair, and two more per merge.
    heap: new Float64Array(3 * length),
  };
}

function push(heap: Float64Array, size: number, key: number): number {
  let child = size;
  while (child > 0) {
    const parent = (child - 1) >> 1;
    if (heap[parent]! <= key) break;
    heap[child] = heap[parent]!;
    child = parent;
  }
  heap[child] = key;
  return size + 1;
}

function pop(heap: Float64Array, size: number): number {
  const last = size - 1;
  const key = heap[last]!;
  let parent = 0;
  for (let child = 1; child < last; child = 2 * parent + 1) {
    if (child + 1 < last && heap[child + 1]! < heap[child]!) child += 1;
    if (heap[child]! >= key) break;
    heap[parent] = heap[child]!;
    parent = child;
  }
  heap[parent] = key;
  return last;
}
