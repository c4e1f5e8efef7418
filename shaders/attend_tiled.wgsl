// Attention of many query tokens: softmax(q k / 8, sink) v, causal, over the last WINDOW positions or over all.
// Online softmax (https://arxiv.org/abs/2205.14135), rescaled once per tile of 32 keys; the largest score starts at the sink.
//
// Grid: (KV_HEADS * FOURS, token tiles of the dispatch). A workgroup makes four query heads, which share a key head, of 8 tokens;
// an invocation, the scores of two keys of a tile for one token, then one quad of the token's output. What is not needed
// while it reads keys and values waits in workgroup memory: with more registers, Intel's compiler spills.
// import: cache, head, kv, query, step

override HEADS: u32 = 64;
override KV_HEADS: u32 = 8;
override WINDOW: u32 = 0; // 0: no window

const TILE_TOKENS = 8u;
const WORKGROUP_SIZE = TILE_TOKENS * HEAD_QUADS;
const AHEAD = 4u; // quads that an invocation loads before it uses the first
const LOWEST = -3.4e38f;
const ENDLESS = 0xffffffffu; // a loop without a constant bound gets a counter from Tint: two more registers, in every round

struct Params {
  first_tile: u32, // of tokens
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> projected: array<vec4f>;      // [tokens, HEADS + 2 * KV_HEADS, 16], q first
@group(0) @binding(3) var<storage, read> keys: array<KvQuad>;          // see lib/cache
@group(0) @binding(4) var<storage, read> values: array<KvQuad>;        // see lib/cache
@group(0) @binding(5) var<storage, read> sinks: array<f32>;            // [HEADS]
@group(0) @binding(6) var<storage, read_write> attended: array<vec4f>; // [tokens, HEADS, 16]

// Of four heads each:
var<workgroup> queries: array<array<array<vec4f, TILE_TOKENS>, 4>, HEAD_QUADS>;
var<workgroup> weights: array<array<vec4f, TILE_TOKENS>, CACHE_TILE>;
var<workgroup> largest: array<vec4f, TILE_TOKENS>; // scores so far
var<workgroup> strips: array<array<vec4f, TILE_TOKENS>, HEAD_QUADS>; // largest scores of a tile; otherwise sums of weights

@compute @workgroup_size(WORKGROUP_SIZE)
fn attend_tiled(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let kv_head = workgroup.x / FOURS;
  let four = workgroup.x % FOURS;
  let first_head = kv_head * GROUP + four * 4;
  let first_token = (params.first_tile + workgroup.y) * TILE_TOKENS;
  let row = local % TILE_TOKENS;
  let lane = local / TILE_TOKENS;

  let query = query_matrix(min(first_token + row, step.tokens - 1), kv_head, four, lane); // spare rows write nothing
  for (var c = 0u; c < 4; c++) {
    queries[lane][c][row] = query[c];
  }
  if (lane == 0) {
    largest[row] = four_sinks(kv_head, four);
  }
  strips[lane][row] = vec4f(select(0f, 1f, lane == 0)); // the sink is the first one's
  var out = mat4x4f(); // a column for each head
  workgroupBarrier();

  // Tiles of keys that any token of the workgroup sees.
  let lowest = step.position + first_token;
  let begin = select(0u, lowest + 1 - WINDOW, WINDOW > 0 && lowest >= WINDOW);
  let end = step.position + min(first_token + TILE_TOKENS, step.tokens);
  // 8, which compilers cannot know: they would unroll the loop, and run out of registers.
  let rounds = min(HEAD_QUADS, step.tokens * HEAD_QUADS) / (AHEAD / 2);
  for (var t = begin / CACHE_TILE; t < ENDLESS; t++) {
    if (t > (end - 1) / CACHE_TILE) {
      break;
    }
    let tile = t * CACHE_TILE;
    let slot = slot_of(tile);

    let key_quad = key_at(slot, kv_head) + lane; // tiles are whole; keys beyond the end are not seen
    var a = vec4f();
    var b = vec4f();
    for (var round = 0u; round < ENDLESS; round++) {
      if (round >= rounds) {
        break;
      }
      let quad = round * (AHEAD / 2);
      var a_ahead: array<KvQuad, AHEAD / 2>;
      var b_ahead: array<KvQuad, AHEAD / 2>;
      for (var i = 0u; i < AHEAD / 2; i++) {
        let at = key_quad + (quad + i) * CACHE_TILE;
        a_ahead[i] = keys[at];
        b_ahead[i] = keys[at + CACHE_TILE / 2];
      }
      for (var i = 0u; i < AHEAD / 2; i++) {
        let a_key = kv_unpack(a_ahead[i]);
        let b_key = kv_unpack(b_ahead[i]);
        for (var c = 0u; c < 4; c++) {
          let q = queries[quad + i][c][row];
          a += q * a_key[c];
          b += q * b_key[c];
        }
      }
    }
    a = select(vec4f(LOWEST), a, is_seen(tile + lane, lowest + row));
    b = select(vec4f(LOWEST), b, is_seen(tile + lane + CACHE_TILE / 2, lowest + row));

    var sum = strips[lane][row];
    strips[lane][row] = max(a, b);
    workgroupBarrier();
    let top = largest[row];
    var new_top = top;
    for (var i = 0u; i < HEAD_QUADS; i++) {
      new_top = max(new_top, strips[i][row]);
    }
    let keep = exp(top - new_top);
    a = exp(a - new_top);
    weights[lane][row] = a;
    sum = sum * keep + a;
    b = exp(b - new_top);
    weights[lane + CACHE_TILE / 2][row] = b;
    sum += b;
    workgroupBarrier();
    strips[lane][row] = sum;
    if (lane == 0) {
      largest[row] = new_top;
    }

    out = mat4x4f(out[0] * keep.x, out[1] * keep.y, out[2] * keep.z, out[3] * keep.w);
    let last = min(end - tile, CACHE_TILE) - 1; // is read again in place of those beyond it
    let value_quad = value_at(slot, kv_head) + lane;
    for (var key = 0u; key < ENDLESS; key++) {
      if (key * AHEAD > last) {
        break;
      }
      var ahead: array<KvQuad, AHEAD>;
      for (var i = 0u; i < AHEAD; i++) {
        ahead[i] = values[value_quad + min(key * AHEAD + i, last) * HEAD_QUADS];
      }
      for (var i = 0u; i < AHEAD; i++) {
        let value = kv_unpack(ahead[i]);
        let weight = weights[key * AHEAD + i][row];
        for (var h = 0u; h < 4; h++) {
          out[h] += weight[h] * value;
        }
      }
    }
  }

  workgroupBarrier();
  var total = vec4f();
  for (var i = 0u; i < HEAD_QUADS; i++) {
    total += strips[i][row];
  }
  let token = lowest + row - step.position;
  for (var i = 0u; i < 4; i++) {
    let head = first_head + i;
    if (token < step.tokens && head < (kv_head + 1) * GROUP) {
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
