// hidden[t, k] = swiglu(W1 norm(x[t]) + b1) of the k-th chosen expert; for few tokens: each reads the weights of its experts.
// Rows of W1 alternate: gate, up, gate, up...
//
// Grid: (ROWS / WORKGROUP_ROWS, tokens * TOP). One part of the experts at a time.
// import: choose_experts, join_splits, mxfp4, normed_rows, row_product, swiglu

override COLUMNS: u32 = 2880;
override ROWS: u32 = 5760; // of one expert
override EXPERTS: u32 = 32;
override TOP: u32 = 4; // experts per token
override LIMIT: f32 = 7;
override SPLITS: u32 = 8; // invocations that share a row's columns

const WORKGROUP_ROWS = 32u;
const PAIRS = WORKGROUP_ROWS / 2;
override WORKGROUP_SIZE: u32 = PAIRS * SPLITS;

struct Params {
  first_expert: u32, // of the part
  experts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> router_logits: array<f32>;       // [tokens, EXPERTS + 1]
@group(0) @binding(2) var<storage, read> weights: array<vec4u>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;         // [all experts, ROWS]
@group(0) @binding(5) var<storage, read> h: array<vec4f>;          // [tokens], lib/normed_rows of COLUMNS
@group(0) @binding(6) var<storage, read_write> hidden: array<f32>; // [tokens, TOP, ROWS / 2]

var<workgroup> rows: array<f32, WORKGROUP_ROWS>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn expert_swiglu(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let slot = workgroup.y;
  let token = slot / TOP;
  choose_experts(token, local);
  let expert = workgroupUniformLoad(&top_experts[slot % TOP]);
  if (expert < params.first_expert || expert >= params.first_expert + params.experts) {
    return; // for the whole workgroup
  }
  let pair = local % PAIRS;
  let first_row = workgroup.x * WORKGROUP_ROWS; // in the expert
  let row = (expert - params.first_expert) * ROWS + first_row + pair;
  let shares = row_products(row, row + PAIRS, local / PAIRS, token * normed_row(COLUMNS) / 4);
  let sums = join_splits(shares, local);
  if (local < PAIRS) {
    let inverse_rms = router_logits[token * (EXPERTS + 1) + EXPERTS];
    let at = expert * ROWS + first_row + pair;
    rows[pair] = sums.x * inverse_rms + bias[at];
    rows[pair + PAIRS] = sums.y * inverse_rms + bias[at + PAIRS];
  }
  workgroupBarrier();

  if (local < PAIRS) {
    hidden[(slot * ROWS + first_row) / 2 + local] = swiglu(rows[2 * local], rows[2 * local + 1], LIMIT);
  }
}

fn input_quad(i: u32) -> vec4f {
  return h[i];
}
