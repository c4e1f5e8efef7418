// Attention of many query tokens: softmax(q k / 8, sink) v, causal, over the last WINDOW positions or over all.
// Online softmax (https://arxiv.org/abs/2205.14135), rescaled once per tile of 32 keys; the largest score starts at the sink.
//
// Grid: (KV_HEADS, row tiles of the dispatch). A row is four query heads of one token that share a key head. A workgroup makes
// 8 rows; an invocation, the scores of two keys of a tile for one row, then one quad of the row's output.
// import: cache, head, kv, query, step

override HEADS: u32 = 64;
override KV_HEADS: u32 = 8;
override WINDOW: u32 = 0; // 0: no window

const TILE_ROWS = 8u; // rows of a workgroup
const WORKGROUP_SIZE = TILE_ROWS * HEAD_QUADS;
const AHEAD = 4u; // quads that an invocation loads before it uses the first
const LOWEST = -3.4e38f;

struct Params {
  first_tile: u32, // of rows
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> projected: array<vec4f>;      // [tokens, HEADS + 2 * KV_HEADS, 16], q first
@group(0) @binding(3) var<storage, read> keys: array<KvQuad>;          // see lib/cache
@group(0) @binding(4) var<storage, read> values: array<KvQuad>;        // see lib/cache
@group(0) @binding(5) var<storage, read> sinks: array<f32>;            // [HEADS]
@group(0) @binding(6) var<storage, read_write> attended: array<vec4f>; // [tokens, HEADS, 16]

var<workgroup> queries: array<mat4x4f, HEAD_QUADS * TILE_ROWS>; // [16 quads][8 rows], a column for each dimension
var<workgroup> strips: array<vec4f, WORKGROUP_SIZE>;            // [8 rows][16]: largest scores, and at last sums
var<workgroup> weights: array<vec4f, CACHE_TILE * TILE_ROWS>;   // [32 keys][8 rows]

@compute @workgroup_size(WORKGROUP_SIZE)
fn attend_tiled(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let kv_head = workgroup.x;
  let first_row = (params.first_tile + workgroup.y) * TILE_ROWS;
  let last_row = step.tokens * FOURS - 1;
  let row = local / HEAD_QUADS;
  let lane = local % HEAD_QUADS;
  let token = min(first_row + row, last_row) / FOURS; // spare rows write nothing
  let position = step.position + token;
  let four = (first_row + row) % FOURS;

  queries[lane * TILE_ROWS + row] = query_matrix(token, kv_head, four, lane);
  var largest = four_sinks(kv_head, four);
  var sum = vec4f(select(0f, 1f, lane == 0)); // of this invocation's keys; the sink is the first one's
  var out = mat4x4f(); // a column for each head
  workgroupBarrier();

  // Tiles of keys that any row of the workgroup sees.
  let lowest = step.position + first_row / FOURS;
  let begin = select(0u, lowest + 1 - WINDOW, WINDOW > 0 && lowest >= WINDOW);
  let end = step.position + min(first_row + TILE_ROWS - 1, last_row) / FOURS + 1;
  // 16, which compilers cannot know: they would unroll the loop below, and run out of registers.
  let quads = min(HEAD_QUADS, step.tokens * HEAD_QUADS);
  for (var tile = begin / CACHE_TILE * CACHE_TILE; tile < end; tile += CACHE_TILE) {
    let slot = slot_of(tile);
    let last = min(end - tile, CACHE_TILE) - 1; // is read again in place of those beyond it

    let a_quad = key_at(slot, kv_head) + min(lane, last);
    let b_quad = key_at(slot, kv_head) + min(lane + 16, last);
    var a = vec4f();
    var b = vec4f();
    for (var quad = 0u; quad < quads; quad += AHEAD / 2) {
      var a_ahead: array<KvQuad, AHEAD / 2>;
      var b_ahead: array<KvQuad, AHEAD / 2>;
      for (var i = 0u; i < AHEAD / 2; i++) {
        a_ahead[i] = keys[a_quad + (quad + i) * CACHE_TILE];
        b_ahead[i] = keys[b_quad + (quad + i) * CACHE_TILE];
      }
      for (var i = 0u; i < AHEAD / 2; i++) {
        let a_key = kv_unpack(a_ahead[i]);
        let b_key = kv_unpack(b_ahead[i]);
        for (var c = 0u; c < 4; c++) {
          let q = queries[(quad + i) * TILE_ROWS + row][c];
          a += q * a_key[c];
          b += q * b_key[c];
        }
      }
    }
    a = select(vec4f(LOWEST), a, is_seen(tile + lane, position));
    b = select(vec4f(LOWEST), b, is_seen(tile + lane + 16, position));

    strips[local] = max(a, b);
    workgroupBarrier();
    var larger = largest;
    for (var i = 0u; i < HEAD_QUADS; i++) {
      larger = max(larger, strips[row * HEAD_QUADS + i]);
    }
    let keep = exp(largest - larger);
    largest = larger;
    a = exp(a - larger);
    b = exp(b - larger);
    sum = sum * keep + a + b;
    weights[lane * TILE_ROWS + row] = a;
    weights[(lane + 16) * TILE_ROWS + row] = b;
    workgroupBarrier();

    out = mat4x4f(out[0] * keep.x, out[1] * keep.y, out[2] * keep.z, out[3] * keep.w);
    let value_quad = value_at(slot, kv_head) + lane;
    for (var key = 0u; key <= last; key += AHEAD) {
      var ahead: array<KvQuad, AHEAD>;
      for (var i = 0u; i < AHEAD; i++) {
        ahead[i] = values[value_quad + min(key + i, last) * HEAD_QUADS];
      }
      for (var i = 0u; i < AHEAD; i++) {
        let value = kv_unpack(ahead[i]);
        let weight = weights[(key + i) * TILE_ROWS + row];
        out += mat4x4f(weight.x * value, weight.y * value, weight.z * value, weight.w * value);
      }
    }
  }

  strips[local] = sum;
  workgroupBarrier();
  var total = vec4f();
  for (var i = 0u; i < HEAD_QUADS; i++) {
    total += strips[row * HEAD_QUADS + i];
  }
  for (var i = 0u; i < 4; i++) {
    if (first_row + row <= last_row && four * 4 + i < GROUP) {
      let head = kv_head * GROUP + four * 4 + i;
      attended[(token * HEADS + head) * HEAD_QUADS + lane] = out[i] / total[i];
    }
  }
}

fn is_seen(key: u32, position: u32) -> bool {
  return key <= position && (WINDOW == 0 || key + WINDOW > position);
}

fn four_sinks(kv_head: u32, four: u32) -> vec4f {
  let heads = kv_head * GROUP + min(vec4u(0, 1, 2, 3) + four * 4, vec4u(GROUP - 1));
  return vec4f(sinks[heads.x], sinks[heads.y], sinks[heads.z], sinks[heads.w]);
}
