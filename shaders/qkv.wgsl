// Queries, keys and values of few tokens: W x + b, rotated by position; keys and values go to the cache.
//
// Grid: (heads of the part, tokens), query heads first, then key heads, then value heads.
// A workgroup makes the 64 rows of one head.
// import: append, dense, head, join_splits, kv, rope, row_product, step, tile

override COLUMNS: u32 = 2880;
override HEADS: u32 = 64;
override KV_HEADS: u32 = 8;
override SPLITS: u32 = 4; // invocations that share a row's columns

const WORKGROUP_ROWS = HEAD_SIZE; // for lib/join_splits

struct Params {
  first_head: u32, // of the part
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> weights: array<vec4u>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;           // [(HEADS + 2 * KV_HEADS) * 64]
@group(0) @binding(5) var<storage, read> x: array<vec4f>;            // [tokens, COLUMNS]
@group(0) @binding(6) var<storage, read> rope_table: array<vec4f>;   // [positions, 16]
@group(0) @binding(7) var<storage, read_write> projected: array<vec4f>; // [tokens, HEADS + 2 * KV_HEADS, 16]
@group(0) @binding(8) var<storage, read_write> keys: array<KvQuad>;     // see lib/cache
@group(0) @binding(9) var<storage, read_write> values: array<KvQuad>;   // see lib/cache

var<workgroup> rows: array<f32, WORKGROUP_ROWS>;

@compute @workgroup_size(WORKGROUP_ROWS * SPLITS)
fn qkv(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = params.first_head + workgroup.x;
  let token = workgroup.y;
  let row = workgroup_row(local);
  let split = column_split(local);
  let tile = workgroup.x * (HEAD_SIZE / TILE_ROWS) + row / TILE_ROWS;
  let sum = join_splits(row_product(tile, row % TILE_ROWS, split, token * (COLUMNS / 4)), local);
  if (split == 0) {
    rows[row] = sum + bias[head * HEAD_SIZE + row];
  }
  workgroupBarrier();

  if (local < HALF_QUADS) {
    let quad = local;
    let position = step.position + token;
    var h = Halves(head_quad(quad), head_quad(quad + HALF_QUADS));
    if (head < HEADS + KV_HEADS) {
      h = rotate(h, position, quad);
    }
    if (head < HEADS) {
      let at = (token * (HEADS + 2 * KV_HEADS) + head) * HEAD_QUADS + quad;
      projected[at] = h.low;
      projected[at + HALF_QUADS] = h.high;
    } else {
      append(head - HEADS, position, quad, h);
    }
  }
}

fn head_quad(quad: u32) -> vec4f {
  let at = 4 * quad;
  return vec4f(rows[at], rows[at + 1], rows[at + 2], rows[at + 3]);
}

fn input_quad(i: u32) -> vec4f {
  return x[i];
}
