// Appends half-quads of a key head (0..KV_HEADS) or a value head (KV_HEADS..2 * KV_HEADS) to the cache.
// Expects the bindings `keys` and `values`, and the override KV_HEADS.
// import: cache, head, kv, rope

fn append(head: u32, position: u32, quad: u32, h: Halves) {
  let slot = slot_of(position);
  if (head < KV_HEADS) {
    let at = key_at(slot, head) + quad * CACHE_TILE;
    keys[at] = kv_pack(h.low);
    keys[at + HALF_QUADS * CACHE_TILE] = kv_pack(h.high);
  } else {
    let at = value_at(slot, head - KV_HEADS) + quad;
    values[at] = kv_pack(h.low);
    values[at + HALF_QUADS] = kv_pack(h.high);
  }
}
