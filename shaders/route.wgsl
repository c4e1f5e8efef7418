// h[t] = rms_norm(x[t]); router logits = W h[t] + b; the TOP largest of them, lowest index first among equals, and the
// softmax over those alone.
//
// Grid: (1, tokens). One workgroup per token.
// import: dense_bf16, join_splits, reduce, row_product, tile

override COLUMNS: u32 = 2880;
override EXPERTS: u32 = 32;
override TOP: u32 = 4; // experts per token
override EPSILON: f32 = 1e-5;
override WORKGROUP_SIZE: u32 = 256; // a multiple of TILE_ROWS
override SPLITS: u32 = WORKGROUP_SIZE / PAIRS; // invocations that share a row's columns

const PAIRS = TILE_ROWS / 2;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;                    // [tokens, COLUMNS]
@group(0) @binding(1) var<storage, read> scale: array<vec4f>;                // [COLUMNS]
@group(0) @binding(2) var<storage, read> weights: array<vec4u>;              // [EXPERTS, COLUMNS], tiled bfloat16
@group(0) @binding(3) var<storage, read> bias: array<f32>;                   // [EXPERTS]
@group(0) @binding(4) var<storage, read_write> h: array<vec4f>;              // [tokens, COLUMNS]
@group(0) @binding(5) var<storage, read_write> router_logits: array<f32>;    // [tokens, EXPERTS]
@group(0) @binding(6) var<storage, read_write> experts: array<u32>;          // [tokens, TOP], best first
@group(0) @binding(7) var<storage, read_write> expert_weights: array<f32>;   // [tokens, TOP]

var<workgroup> logits: array<f32, EXPERTS>;
var<workgroup> top_logits: array<f32, TOP>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn route(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = workgroup.y;
  let quads = COLUMNS / 4;
  let x_row = token * quads;

  var square = 0f;
  for (var i = local; i < quads; i += WORKGROUP_SIZE) {
    square += dot(x[x_row + i], x[x_row + i]);
  }
  let inverse_rms = inverseSqrt(workgroup_sum(square, local) / f32(COLUMNS) + EPSILON);
  for (var i = local; i < quads; i += WORKGROUP_SIZE) {
    h[x_row + i] = x[x_row + i] * inverse_rms * scale[i];
  }
  storageBarrier();

  let pair = local % PAIRS;
  for (var first = 0u; first < EXPERTS; first += TILE_ROWS) {
    let expert = first + pair;
    let sums = join_splits(row_products(expert, expert + PAIRS, local / PAIRS, x_row), local);
    if (local < PAIRS) {
      write_logit(token, expert, sums.x);
      write_logit(token, expert + PAIRS, sums.y);
    }
    workgroupBarrier();
  }

  // An expert's rank is the number of experts that come before it.
  for (var expert = local; expert < EXPERTS; expert += WORKGROUP_SIZE) {
    let logit = logits[expert];
    var rank = 0u;
    for (var other = 0u; other < EXPERTS; other++) {
      rank += select(0u, 1u, logits[other] > logit || (logits[other] == logit && other < expert));
    }
    if (rank < TOP) {
      experts[token * TOP + rank] = expert;
      top_logits[rank] = logit;
    }
  }
  workgroupBarrier();

  if (local < TOP) {
    var sum = 0f;
    for (var i = 0u; i < TOP; i++) {
      sum += exp(top_logits[i] - top_logits[0]);
    }
    expert_weights[token * TOP + local] = exp(top_logits[local] - top_logits[0]) / sum;
  }
}

fn write_logit(token: u32, expert: u32, product: f32) {
  if (expert < EXPERTS) {
    logits[expert] = product + bias[expert];
    router_logits[token * EXPERTS + expert] = logits[expert];
  }
}

fn input_quad(i: u32) -> vec4f {
  return h[i];
}
