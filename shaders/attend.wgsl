// Attention of one query token: softmax(q k / 8, sink) v, causal, over the last WINDOW positions or over all.
//
// Grid: (KV_HEADS * head blocks, SPLITS). A workgroup reads up to 128 keys and values of one head, for up to 8 of the query
// heads that share it, four to an invocation. With one split it writes the output; with more, what attend_reduce.wgsl joins.
// import: attention_splits, cache, head, kv, query, step

override HEADS: u32 = 64;
override KV_HEADS: u32 = 8;
override WINDOW: u32 = 0; // 0: no window
override SPLITS: u32 = 64;
override HEAD_BLOCKS: u32 = (HEADS / KV_HEADS + BLOCK_HEADS - 1) / BLOCK_HEADS;

const BLOCK_HEADS = 8u; // query heads of a workgroup
const WORKGROUP_SIZE = SPLIT_KEYS * 2;
const SLICES = 8u; // invocations that share a quad of the values; each has every 8th of a tile
const KEYS_AHEAD = 8u; // quads that an invocation loads before it uses the first
const TILE_VALUES = CACHE_TILE / SLICES; // of an invocation
const TILES_AHEAD = 2u; // whose values an invocation loads before it uses the first
const STRIPS = 8u; // invocations that share the largest score of four heads, and their sum
const ENDLESS = 0xffffffffu; // a loop without a constant bound gets a counter from Tint: two more registers, in every round
const LOWEST = -3.4e38f;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> projected: array<vec4f>;      // [HEADS + 2 * KV_HEADS, 16], q first
@group(0) @binding(2) var<storage, read> keys: array<KvQuad>;          // see lib/cache
@group(0) @binding(3) var<storage, read> values: array<KvQuad>;        // see lib/cache
@group(0) @binding(4) var<storage, read> sinks: array<f32>;            // [HEADS]
@group(0) @binding(5) var<storage, read_write> attended: array<vec4f>; // [HEADS, 16]
@group(0) @binding(6) var<storage, read_write> split_out: array<vec4f>;   // [HEADS, SPLITS, 16], not divided by the sum
@group(0) @binding(7) var<storage, read_write> split_stats: array<vec2f>; // [HEADS, SPLITS], largest score and sum

var<workgroup> queries: array<array<mat4x4f, 2>, HEAD_QUADS>; // of 4 heads twice, a column for each dimension
var<workgroup> weights: array<vec4f, 4 * 8 * HEAD_QUADS>; // [keys, and one that is none][8 heads]; at last [4][8 heads][16]
var<workgroup> tops: array<vec4f, STRIPS * 2>;            // [strips][8 heads], largest scores
var<workgroup> sums: array<vec4f, STRIPS * 2>;            // [strips][8 heads]

@compute @workgroup_size(WORKGROUP_SIZE)
fn attend(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let kv_head = workgroup.x / HEAD_BLOCKS;
  let first_head = workgroup.x % HEAD_BLOCKS * BLOCK_HEADS; // of those that share the key head
  let split = workgroup.y;
  let first = select(0u, step.position + 1 - WINDOW, WINDOW > 0 && step.position >= WINDOW);
  let begin = first + split * SPLIT_KEYS;
  if (begin > step.position) {
    return; // for the whole workgroup
  }
  let count = min(SPLIT_KEYS, step.position + 1 - begin);
  let first_slot = slot_of(begin);
  let first_place = first_slot % CACHE_TILE; // a place is a slot, counted from the beginning of the first tile
  let end_place = first_place + count;

  if (local < HEAD_QUADS * 2) {
    queries[local / 2][local % 2] = query_matrix(0, kv_head, first_head / 4 + local % 2, local / 2);
  }
  workgroupBarrier();

  // Scores of one key. Keys beyond the last repeat it and weigh nothing.
  let key = local % SPLIT_KEYS;
  let four = local / SPLIT_KEYS; // of the 8 heads
  let key_quad = key_at(slot_after(first_slot, min(key, count - 1)), kv_head);
  var scores = vec4f();
  for (var quad = 0u; quad < HEAD_QUADS; quad += KEYS_AHEAD) {
    var ahead: array<KvQuad, KEYS_AHEAD>;
    for (var i = 0u; i < KEYS_AHEAD; i++) {
      ahead[i] = keys[key_quad + (quad + i) * CACHE_TILE];
    }
    for (var i = 0u; i < KEYS_AHEAD; i++) {
      let key_values = kv_unpack(ahead[i]);
      for (var c = 0u; c < 4; c++) {
        scores += queries[quad + i][four][c] * key_values[c];
      }
    }
  }
  scores = select(vec4f(LOWEST), scores, key < count);

  weights[key * 2 + four] = scores;
  workgroupBarrier();
  if (local < STRIPS * 2) {
    var top = vec4f(LOWEST);
    for (var i = local; i < SPLIT_KEYS * 2; i += STRIPS * 2) {
      top = max(top, weights[i]);
    }
    tops[local] = top;
    weights[SPLIT_KEYS * 2 + local % 2] = vec4f();
  }
  workgroupBarrier();
  var top = tops[four];
  for (var i = 1u; i < STRIPS; i++) {
    top = max(top, tops[i * 2 + four]);
  }
  weights[key * 2 + four] = exp(scores - top);
  workgroupBarrier();
  if (local < STRIPS * 2) {
    var sum = vec4f();
    for (var i = local; i < SPLIT_KEYS * 2; i += STRIPS * 2) {
      sum += weights[i];
    }
    sums[local] = sum;
  }

  // A quad of every 8th value. The last one is read again in place of those beyond it.
  let quad = local % HEAD_QUADS;
  let slice = local / HEAD_QUADS % SLICES;
  var out = mat4x4f(); // a column for each head
  for (var round = 0u; round < ENDLESS; round++) {
    if (round > (end_place - 1) / (TILES_AHEAD * CACHE_TILE)) {
      break;
    }
    let begin_place = round * TILES_AHEAD * CACHE_TILE;
    var ahead: array<KvQuad, TILES_AHEAD * TILE_VALUES>;
    for (var t = 0u; t < TILES_AHEAD; t++) {
      let tile = min(begin_place + t * CACHE_TILE, (end_place - 1) / CACHE_TILE * CACHE_TILE);
      let at = value_at(slot_after(first_slot - first_place, tile), kv_head) + quad;
      for (var i = 0u; i < TILE_VALUES; i++) {
        ahead[t * TILE_VALUES + i] = values[at + min(i * SLICES + slice, end_place - 1 - tile) * HEAD_QUADS];
      }
    }
    for (var i = 0u; i < TILES_AHEAD * TILE_VALUES; i++) {
      let value = kv_unpack(ahead[i]);
      let k = begin_place + i * SLICES + slice - first_place; // places before the first wrap around and weigh nothing
      let weight = weights[min(k, SPLIT_KEYS) * 2 + four];
      for (var h = 0u; h < 4; h++) {
        out[h] += weight[h] * value;
      }
    }
  }

  let share = (slice % 4 * BLOCK_HEADS + four * 4) * HEAD_QUADS + quad;
  for (var turn = 0u; turn < 2; turn++) {
    workgroupBarrier();
    if (slice / 4 == turn) {
      for (var i = 0u; i < 4; i++) {
        let at = share + i * HEAD_QUADS;
        weights[at] = select(vec4f(), weights[at], turn > 0) + out[i];
      }
    }
  }
  workgroupBarrier();

  let g = four * SLICES + slice; // local / HEAD_QUADS, with fewer registers
  if (g < min(BLOCK_HEADS, GROUP - first_head)) {
    let head = kv_head * GROUP + first_head + g;
    var mixed = vec4f();
    for (var i = 0u; i < 4; i++) {
      mixed += weights[(i * BLOCK_HEADS + g) * HEAD_QUADS + quad];
    }
    var largest = LOWEST;
    var sum = 0f;
    for (var i = 0u; i < STRIPS; i++) {
      largest = max(largest, tops[i * 2 + g / 4][g % 4]);
      sum += sums[i * 2 + g / 4][g % 4];
    }
    if (SPLITS == 1) {
      let shared_max = max(largest, sinks[head]);
      let factor = exp(largest - shared_max);
      attended[head * HEAD_QUADS + quad] = mixed * (factor / (sum * factor + exp(sinks[head] - shared_max)));
    } else {
      let at = head * SPLITS + split;
      split_out[at * HEAD_QUADS + quad] = mixed;
      if (quad == 0) {
        split_stats[at] = vec2f(largest, sum);
      }
    }
  }
}
