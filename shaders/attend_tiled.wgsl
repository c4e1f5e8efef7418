// Attention of many query tokens: softmax(q k / 8, sink) v, causal, over the last WINDOW positions or over all.
// Online softmax (https://arxiv.org/abs/2205.14135): the running maximum starts at the sink, the running sum at 1.
//
// Grid: (KV_HEADS, ceil(tokens * GROUP / WORKGROUP_SIZE)). An invocation makes one query head of one token; the workgroup
// shares keys and values, 16 at a time.
// import: head, kv, step

override HEADS: u32 = 64;
override KV_HEADS: u32 = 8;
override CAPACITY: u32 = 8192; // positions that the cache holds
override WINDOW: u32 = 0;      // 0: no window
override GROUP: u32 = HEADS / KV_HEADS; // query heads that share a key head

const TILE_KEYS = 16u;
const WORKGROUP_SIZE = 64u;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> projected: array<vec4f>;      // [tokens, HEADS + 2 * KV_HEADS, 16], q first
@group(0) @binding(2) var<storage, read> keys: array<KvQuad>;          // [KV_HEADS, CAPACITY, 16]
@group(0) @binding(3) var<storage, read> values: array<KvQuad>;        // [KV_HEADS, CAPACITY, 16]
@group(0) @binding(4) var<storage, read> sinks: array<f32>;            // [HEADS]
@group(0) @binding(5) var<storage, read_write> attended: array<vec4f>; // [tokens, HEADS, 16]

var<workgroup> key_tile: array<vec4f, TILE_KEYS * HEAD_QUADS>;
var<workgroup> value_tile: array<vec4f, TILE_KEYS * HEAD_QUADS>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn attend_tiled(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let kv_head = workgroup.x;
  let first_query = workgroup.y * WORKGROUP_SIZE;
  let query = first_query + local;
  let token = min(query / GROUP, step.tokens - 1); // spare invocations repeat the last token and write nothing
  let position = step.position + token;
  let head = kv_head * GROUP + query % GROUP;

  var q: array<vec4f, HEAD_QUADS>;
  var out: array<vec4f, HEAD_QUADS>;
  for (var i = 0u; i < HEAD_QUADS; i++) {
    q[i] = projected[(token * (HEADS + 2 * KV_HEADS) + head) * HEAD_QUADS + i] * SCORE_SCALE;
  }
  var largest = sinks[head];
  var sum = 1f;

  // Keys that any query of the workgroup sees.
  let lowest = step.position + first_query / GROUP;
  let begin = select(0u, lowest + 1 - WINDOW, WINDOW > 0 && lowest >= WINDOW);
  let end = step.position + min((first_query + WORKGROUP_SIZE - 1) / GROUP, step.tokens - 1) + 1;

  for (var first_key = begin; first_key < end; first_key += TILE_KEYS) {
    for (var i = local; i < TILE_KEYS * HEAD_QUADS; i += WORKGROUP_SIZE) {
      let key = first_key + i / HEAD_QUADS;
      var k = vec4f();
      var v = vec4f();
      if (key < end) {
        let at = (kv_head * CAPACITY + key % CAPACITY) * HEAD_QUADS + i % HEAD_QUADS;
        k = kv_unpack(keys[at]);
        v = kv_unpack(values[at]);
      }
      key_tile[i] = k;
      value_tile[i] = v;
    }
    workgroupBarrier();

    for (var j = 0u; j < TILE_KEYS; j++) {
      let key = first_key + j;
      if (key <= position && (WINDOW == 0 || key + WINDOW > position)) {
        var score = 0f;
        for (var i = 0u; i < HEAD_QUADS; i++) {
          score += dot(q[i], key_tile[j * HEAD_QUADS + i]);
        }
        let larger = max(largest, score);
        let keep = exp(largest - larger);
        let weight = exp(score - larger);
        largest = larger;
        sum = sum * keep + weight;
        for (var i = 0u; i < HEAD_QUADS; i++) {
          out[i] = out[i] * keep + weight * value_tile[j * HEAD_QUADS + i];
        }
      }
    }
    workgroupBarrier();
  }

  if (query < step.tokens * GROUP) {
    for (var i = 0u; i < HEAD_QUADS; i++) {
      attended[(token * HEADS + head) * HEAD_QUADS + i] = out[i] / sum;
    }
  }
}
