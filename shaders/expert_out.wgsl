// x[t] += sum_k weight[t, k] * (W2 hidden[t, k] + b2) over the chosen experts; for few tokens.
//
// Grid: (tiles of an expert, tokens). One part of the experts at a time.
// import: join_splits, mxfp4, row_product, tile

override COLUMNS: u32 = 2880;
override ROWS: u32 = 2880; // of one expert
override TOP: u32 = 4; // experts per token
override SPLITS: u32 = 8; // invocations that share a row's columns

const WORKGROUP_ROWS = TILE_ROWS; // for lib/join_splits

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

@compute @workgroup_size(WORKGROUP_ROWS * SPLITS)
fn expert_out(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = workgroup.y;
  let row = workgroup_row(local);
  let split = column_split(local);
  let out_row = workgroup.x * TILE_ROWS + row;

  var total = 0f;
  for (var slot = token * TOP; slot < token * TOP + TOP; slot++) {
    let expert = experts[slot];
    if (expert < params.first_expert || expert >= params.first_expert + params.experts) {
      continue;
    }
    let tile = (expert - params.first_expert) * (ROWS / TILE_ROWS) + workgroup.x;
    var sum = row_product(tile, row, split, slot * (COLUMNS / 4));
    if (split == 0) {
      sum += bias[expert * ROWS + out_row];
    }
    total += expert_weights[slot] * sum;
  }
  total = join_splits(total, local);
  if (split == 0) {
    x[token * ROWS + out_row] += total;
  }
}

fn input_quad(i: u32) -> vec4f {
  return hidden[i];
}
