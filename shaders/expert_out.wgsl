// x[t] += sum_k weight[t, k] * (W2 hidden[t, k] + b2) over the chosen experts; for few tokens.
//
// Grid: (ROWS / WORKGROUP_ROWS, tokens). The experts of a token share a workgroup, like the splits of columns. One part of the experts at a time.
// import: join_splits, mxfp4, row_product, tile

override COLUMNS: u32 = 2880;
override ROWS: u32 = 2880; // of one expert
override TOP: u32 = 4; // experts per token
override SPLITS: u32 = 16; // invocations that share a row's columns

const WORKGROUP_ROWS = 8u;
const PAIRS = WORKGROUP_ROWS / 2;
override WORKGROUP_SIZE: u32 = PAIRS * TOP * SPLITS;

struct Params {
  first_expert: u32, // of the part
  experts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> experts: array<u32>;        // [tokens, TOP]
@group(0) @binding(2) var<storage, read> expert_weights: array<f32>; // [tokens, TOP]
@group(0) @binding(3) var<storage, read> weights: array<vec4u>;
@group(0) @binding(4) var<storage, read> scales: array<u32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;           // [all experts, ROWS]
@group(0) @binding(6) var<storage, read> hidden: array<vec4f>;       // [tokens, TOP, COLUMNS]
@group(0) @binding(7) var<storage, read_write> x: array<f32>;        // [tokens, ROWS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn expert_out(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = workgroup.y;
  let first_row = workgroup.x * WORKGROUP_ROWS; // in the expert
  let pair = local % PAIRS;
  let split = local / PAIRS;
  let slot = token * TOP + split % TOP;
  let expert = experts[slot];

  var shares = vec2f();
  if (expert >= params.first_expert && expert < params.first_expert + params.experts) {
    let row = (expert - params.first_expert) * ROWS + first_row + pair;
    shares = row_products(row, row + PAIRS, split / TOP, slot * (COLUMNS / 4));
    if (split < TOP) {
      let at = expert * ROWS + first_row + pair;
      shares += vec2f(bias[at], bias[at + PAIRS]);
    }
    shares *= expert_weights[slot];
  }
  let sums = join_splits(shares, local);
  if (local < PAIRS) {
    let at = token * ROWS + first_row + pair;
    x[at] += sums.x;
    x[at + PAIRS] += sums.y;
  }
}

fn input_quad(i: u32) -> vec4f {
  return hidden[i];
}
