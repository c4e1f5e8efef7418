// Queries, keys and values of few tokens: W norm(x) + b, rotated by position; keys and values go to the cache.
//
// Grid: (2 * heads of the part, tokens), query heads first, then key heads, then value heads.
// A workgroup makes the rows i and i + 32 of a head, which turn together, for one half of 0 <= i < 32.
// import: append, dense, head, inverse_rms, join_splits, kv, normed_rows, rope, row_product, step

override COLUMNS: u32 = 2880;
override EPSILON: f32 = 1e-5;
override HEADS: u32 = 64;
override KV_HEADS: u32 = 8;
override SPLITS: u32 = 16; // invocations that share a row's columns

const PAIRS = HEAD_SIZE / 4;
override WORKGROUP_SIZE: u32 = PAIRS * SPLITS;

struct Params {
  first_head: u32, // of the part
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> weights: array<vec4u>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;           // [(HEADS + 2 * KV_HEADS) * 64]
@group(0) @binding(5) var<storage, read> h: array<vec4f>;            // [tokens], lib/normed_rows of COLUMNS
@group(0) @binding(6) var<storage, read> rope_table: array<vec4f>;   // [positions, 16]
@group(0) @binding(7) var<storage, read_write> projected: array<vec4f>; // [tokens, HEADS + 2 * KV_HEADS, 16]
@group(0) @binding(8) var<storage, read_write> keys: array<KvQuad>;     // see lib/cache
@group(0) @binding(9) var<storage, read_write> values: array<KvQuad>;   // see lib/cache

var<workgroup> low_rows: array<f32, PAIRS>;
var<workgroup> high_rows: array<f32, PAIRS>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn qkv(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = params.first_head + workgroup.x / 2;
  let first_row = workgroup.x % 2 * PAIRS; // in the head
  let token = workgroup.y;
  let pair = local % PAIRS;
  let row = workgroup.x / 2 * HEAD_SIZE + first_row + pair;
  let squares = square_share(token, local);
  let shares = row_products(row, row + HEAD_SIZE / 2, local / PAIRS, token * normed_row(COLUMNS) / 4);
  let sums = join_splits(shares, local) * inverse_rms(squares, local);
  if (local < PAIRS) {
    let at = head * HEAD_SIZE + first_row + pair;
    low_rows[pair] = sums.x + bias[at];
    high_rows[pair] = sums.y + bias[at + HEAD_SIZE / 2];
  }
  workgroupBarrier();

  if (local < PAIRS / 4) {
    let quad = first_row / 4 + local;
    let at = 4 * local;
    let position = step.position + token;
    var turned = Halves(
      vec4f(low_rows[at], low_rows[at + 1], low_rows[at + 2], low_rows[at + 3]),
      vec4f(high_rows[at], high_rows[at + 1], high_rows[at + 2], high_rows[at + 3]),
    );
    if (head < HEADS + KV_HEADS) {
      turned = rotate(turned, position, quad);
    }
    if (head < HEADS) {
      let to = (token * (HEADS + 2 * KV_HEADS) + head) * HEAD_QUADS + quad;
      projected[to] = turned.low;
      projected[to + HALF_QUADS] = turned.high;
    } else {
      append(head - HEADS, position, quad, turned);
    }
  }
}

fn input_quad(i: u32) -> vec4f {
  return h[i];
}
