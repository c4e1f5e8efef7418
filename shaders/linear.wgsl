// y[t] = W x[t], for few tokens: every token reads the weights.
//
// Grid: (ceil(rows of the part / WORKGROUP_ROWS), tokens). SPLITS invocations share the columns of two rows.
// import: dense, join_splits, row_product, tile

override COLUMNS: u32 = 2880;
override ROWS: u32 = 201088; // of all parts
override SPLITS: u32 = 8; // invocations that share a row's columns

const WORKGROUP_ROWS = 32u;
const PAIRS = WORKGROUP_ROWS / 2;
override WORKGROUP_SIZE: u32 = PAIRS * SPLITS;

struct Params {
  first_row: u32, // of the part, a multiple of TILE_ROWS
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4u>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> x: array<vec4f>;     // [tokens, COLUMNS]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [tokens, ROWS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn linear(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = workgroup.y;
  let pair_row = workgroup.x * WORKGROUP_ROWS + local % PAIRS; // in the part
  let shares = row_products(pair_row, pair_row + PAIRS, local / PAIRS, token * (COLUMNS / 4));
  let sums = join_splits(shares, local);
  for (var i = 0u; i < 2; i++) {
    let row = params.first_row + pair_row + i * PAIRS;
    if (local < PAIRS && row < ROWS) {
      y[token * ROWS + row] = sums[i];
    }
  }
}

fn input_quad(i: u32) -> vec4f {
  return x[i];
}
