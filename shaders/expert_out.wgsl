// x[t] += sum_k weight[t, k] * (W2 hidden[t, k] + b2) over the chosen experts, and h[t], the norm of x[t] but for a factor;
// for few tokens.
//
// Grid: (ROWS / WORKGROUP_ROWS, tokens). A workgroup makes the rows of all experts of a token. One part of the experts at a time.
// import: choose_experts, join_splits, mxfp4, residual, row_product

override COLUMNS: u32 = 2880;
override ROWS: u32 = 2880; // of one expert
override EXPERTS: u32 = 32;
override TOP: u32 = 4; // experts per token
override SPLITS: u32 = 16; // invocations that share a row's columns

const WORKGROUP_ROWS = 8u;
const PAIRS = WORKGROUP_ROWS / 2;
override WORKGROUP_SIZE: u32 = PAIRS * SPLITS * TOP;

struct Params {
  first_expert: u32, // of the part
  experts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> router_logits: array<f32>;   // [tokens, EXPERTS + 1]
@group(0) @binding(2) var<storage, read> weights: array<vec4u>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;     // [all experts, ROWS]
@group(0) @binding(5) var<storage, read> hidden: array<vec4f>; // [tokens, TOP, COLUMNS]
@group(0) @binding(6) var<storage, read> scale: array<f32>;    // [ROWS], of the next norm
@group(0) @binding(7) var<storage, read_write> x: array<f32>;  // [tokens, ROWS]
@group(0) @binding(8) var<storage, read_write> h: array<f32>;  // [tokens], lib/normed_rows of ROWS

var<workgroup> expert_sums: array<vec2f, TOP * PAIRS>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn expert_out(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = workgroup.y;
  choose_experts(token, local);
  let first_row = workgroup.x * WORKGROUP_ROWS; // in an expert
  let pair = local % PAIRS;
  let split = local / PAIRS % SPLITS;
  let k = local / (PAIRS * SPLITS);
  let expert = top_experts[k];
  let is_in_part = expert >= params.first_expert && expert < params.first_expert + params.experts;

  var shares = vec2f();
  if (is_in_part) {
    let row = (expert - params.first_expert) * ROWS + first_row + pair;
    shares = row_products(row, row + PAIRS, split, (token * TOP + k) * (COLUMNS / 4));
  }
  let sums = join_splits(shares, local);
  if (split == 0) {
    var weighted = vec2f();
    if (is_in_part) {
      let at = expert * ROWS + first_row + pair;
      weighted = expert_weight(k) * (sums + vec2f(bias[at], bias[at + PAIRS]));
    }
    expert_sums[k * PAIRS + pair] = weighted;
  }
  workgroupBarrier();

  if (local < PAIRS) {
    var sum = vec2f();
    for (var i = 0u; i < TOP * PAIRS; i += PAIRS) {
      sum += expert_sums[i + local % PAIRS];
    }
    add_row(token, first_row + local, local, sum.x);
    add_row(token, first_row + local + PAIRS, local + PAIRS, sum.y);
  }
  add_squares(token, first_row, local);
}

fn input_quad(i: u32) -> vec4f {
  return hidden[i];
}
