// Rotates queries in place, and appends rotated keys and plain values to the cache; for many tokens, after linear_tiled.
//
// Grid: (ceil((HEADS + 2 * KV_HEADS) * HALF_QUADS / WORKGROUP_SIZE), tokens). An invocation turns two quads of one head.
// import: append, head, kv, rope, step

override HEADS: u32 = 64;
override KV_HEADS: u32 = 8;

const WORKGROUP_SIZE = 64u;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> rope_table: array<vec4f>;   // [positions, 16]
@group(0) @binding(2) var<storage, read_write> projected: array<vec4f>; // [tokens, HEADS + 2 * KV_HEADS, 16]
@group(0) @binding(3) var<storage, read_write> keys: array<KvQuad>;     // see lib/cache
@group(0) @binding(4) var<storage, read_write> values: array<KvQuad>;   // see lib/cache

@compute @workgroup_size(WORKGROUP_SIZE)
fn rope(@builtin(global_invocation_id) invocation: vec3u) {
  let head = invocation.x / HALF_QUADS;
  let quad = invocation.x % HALF_QUADS;
  let token = invocation.y;
  if (head >= HEADS + 2 * KV_HEADS) {
    return;
  }
  let position = step.position + token;
  let at = (token * (HEADS + 2 * KV_HEADS) + head) * HEAD_QUADS + quad;
  var h = Halves(projected[at], projected[at + HALF_QUADS]);
  if (head < HEADS + KV_HEADS) {
    h = rotate(h, position, quad);
  }
  if (head < HEADS) {
    projected[at] = h.low;
    projected[at + HALF_QUADS] = h.high;
  } else {
    append(head - HEADS, position, quad, h);
  }
}
