// Attention of one query token: softmax(q k / 8, sink) v, causal, over the last WINDOW positions or over all.
//
// Grid: (KV_HEADS, SPLITS). A workgroup reads up to 128 keys of one head once, for all query heads that share it.
// With one split it writes the output; with more, what attend_reduce.wgsl needs to join them.
// import: attention_splits, head, kv, step

override HEADS: u32 = 64;
override KV_HEADS: u32 = 8;
override CAPACITY: u32 = 8192; // positions that the cache holds
override WINDOW: u32 = 0;      // 0: no window
override SPLITS: u32 = 64;
override GROUP: u32 = HEADS / KV_HEADS; // query heads that share a key head

const STRIPS = 16u; // invocations that share the softmax of one head

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> projected: array<vec4f>;      // [HEADS + 2 * KV_HEADS, 16], q first
@group(0) @binding(2) var<storage, read> keys: array<KvQuad>;          // [KV_HEADS, CAPACITY, 16]
@group(0) @binding(3) var<storage, read> values: array<KvQuad>;        // [KV_HEADS, CAPACITY, 16]
@group(0) @binding(4) var<storage, read> sinks: array<f32>;            // [HEADS]
@group(0) @binding(5) var<storage, read_write> attended: array<vec4f>; // [HEADS, 16]
@group(0) @binding(6) var<storage, read_write> split_out: array<vec4f>;   // [HEADS, SPLITS, 16], not divided by the sum
@group(0) @binding(7) var<storage, read_write> split_stats: array<vec2f>; // [HEADS, SPLITS], largest score and sum

var<workgroup> queries: array<vec4f, GROUP * HEAD_QUADS>;
var<workgroup> weights: array<f32, GROUP * SPLIT_KEYS>; // scores, then their exponentials
var<workgroup> strips: array<f32, GROUP * STRIPS>;

@compute @workgroup_size(SPLIT_KEYS)
fn attend(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let kv_head = workgroup.x;
  let split = workgroup.y;
  let position = step.position;
  let first = select(0u, position + 1 - WINDOW, WINDOW > 0 && position >= WINDOW);
  let begin = first + split * SPLIT_KEYS;
  if (begin > position) {
    return; // for the whole workgroup
  }
  let count = min(SPLIT_KEYS, position + 1 - begin);
  let cache_head = kv_head * CAPACITY;

  for (var i = local; i < GROUP * HEAD_QUADS; i += SPLIT_KEYS) {
    queries[i] = projected[kv_head * GROUP * HEAD_QUADS + i] * SCORE_SCALE;
  }
  workgroupBarrier();

  if (local < count) {
    let at = (cache_head + (begin + local) % CAPACITY) * HEAD_QUADS;
    for (var g = 0u; g < GROUP; g++) {
      var score = 0f;
      for (var i = 0u; i < HEAD_QUADS; i++) {
        score += dot(queries[g * HEAD_QUADS + i], kv_unpack(keys[at + i]));
      }
      weights[g * SPLIT_KEYS + local] = score;
    }
  }
  workgroupBarrier();

  for (var i = local; i < GROUP * STRIPS; i += SPLIT_KEYS) {
    var largest = -3.4e38f;
    for (var k = i % STRIPS; k < count; k += STRIPS) {
      largest = max(largest, weights[i / STRIPS * SPLIT_KEYS + k]);
    }
    strips[i] = largest;
  }
  workgroupBarrier();

  for (var i = local; i < GROUP * SPLIT_KEYS; i += SPLIT_KEYS) {
    if (i % SPLIT_KEYS < count) {
      weights[i] = exp(weights[i] - largest_strip(i / SPLIT_KEYS));
    }
  }
  workgroupBarrier();

  for (var i = local; i < GROUP * HEAD_QUADS; i += SPLIT_KEYS) {
    let g = i / HEAD_QUADS;
    let head = kv_head * GROUP + g;
    var sum = 0f;
    var out = vec4f();
    for (var k = 0u; k < count; k++) {
      let weight = weights[g * SPLIT_KEYS + k];
      let at = (cache_head + (begin + k) % CAPACITY) * HEAD_QUADS + i % HEAD_QUADS;
      sum += weight;
      out += weight * kv_unpack(values[at]);
    }
    if (SPLITS == 1) {
      let largest = largest_strip(g);
      let shared_max = max(largest, sinks[head]);
      let factor = exp(largest - shared_max);
      attended[head * HEAD_QUADS + i % HEAD_QUADS] =
        out * (factor / (sum * factor + exp(sinks[head] - shared_max)));
    } else {
      let at = head * SPLITS + split;
      split_out[at * HEAD_QUADS + i % HEAD_QUADS] = out;
      if (i % HEAD_QUADS == 0) {
        split_stats[at] = vec2f(largest_strip(g), sum);
      }
    }
  }
}

fn largest_strip(group: u32) -> f32 {
  var largest = strips[group * STRIPS];
  for (var i = 1u; i < STRIPS; i++) {
    largest = max(largest, strips[group * STRIPS + i]);
  }
  return largest;
}
