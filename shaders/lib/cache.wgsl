// Where the cache holds a position, in tiles of 32 slots: keys are [tile][KV_HEADS][16 quads][32 slots], so that neighbouring
// invocations read neighbouring slots; values are [tile][KV_HEADS][32 slots][16 quads]. Position p is in slot p, or in
// p % RING of a ring. No place depends on the size of the cache, so that it can grow.
// Expects the override KV_HEADS.
// import: head, kv

override RING: u32 = 0; // slots of a ring, in whole tiles; 0: no ring

const CACHE_TILE = 32u;

fn slot_of(position: u32) -> u32 {
  return select(position, position % max(RING, 1u), RING > 0);
}

// The slot that is `count` after another, at most RING.
fn slot_after(slot: u32, count: u32) -> u32 {
  let next = slot + count;
  return select(next, next - RING, RING > 0 && next >= RING);
}

// The first quad of a key; the next ones are CACHE_TILE apart.
fn key_at(slot: u32, kv_head: u32) -> u32 {
  return (slot / CACHE_TILE * KV_HEADS + kv_head) * CACHE_TILE * HEAD_QUADS + slot % CACHE_TILE;
}

// The first quad of a value; the others follow.
fn value_at(slot: u32, kv_head: u32) -> u32 {
  return ((slot / CACHE_TILE * KV_HEADS + kv_head) * CACHE_TILE + slot % CACHE_TILE) * HEAD_QUADS;
}
