// Appends half-quads of a key head (0..KV_HEADS) or a value head (KV_HEADS..2 * KV_HEADS) to the cache.
// Position p is stored at p % CAPACITY: a ring if the cache holds a window, p itself if it holds the whole context.
// Expects the bindings `keys` and `values`, and the overrides KV_HEADS and CAPACITY.
// import: head, kv, rope

fn append(head: u32, position: u32, quad: u32, h: Halves) {
  let at = (head % KV_HEADS * CAPACITY + position % CAPACITY) * HEAD_QUADS + quad;
  if (head < KV_HEADS) {
    keys[at] = kv_pack(h.low);
    keys[at + HALF_QUADS] = kv_pack(h.high);
  } else {
    values[at] = kv_pack(h.low);
    values[at + HALF_QUADS] = kv_pack(h.high);
  }
}
