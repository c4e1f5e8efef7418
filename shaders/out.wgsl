// x[t] += W attended[t] + b, and h[t], the norm of x[t] but for a factor; for few tokens: every token reads the weights.
//
// Grid: (rows of the part / WORKGROUP_ROWS, tokens). SPLITS invocations share the columns of two rows.
// import: dense, join_splits, residual, row_product

override COLUMNS: u32 = 4096;
override ROWS: u32 = 2880; // of all parts
override SPLITS: u32 = 32; // invocations that share a row's columns

const WORKGROUP_ROWS = 16u;
const PAIRS = WORKGROUP_ROWS / 2;
override WORKGROUP_SIZE: u32 = PAIRS * SPLITS;

struct Params {
  first_row: u32, // of the part, a multiple of TILE_ROWS
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4u>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;       // [ROWS]
@group(0) @binding(4) var<storage, read> attended: array<vec4f>; // [tokens, COLUMNS]
@group(0) @binding(5) var<storage, read> scale: array<f32>;      // [ROWS], of the next norm
@group(0) @binding(6) var<storage, read_write> x: array<f32>;    // [tokens, ROWS]
@group(0) @binding(7) var<storage, read_write> h: array<f32>;    // [tokens], lib/normed_rows of ROWS

@compute @workgroup_size(WORKGROUP_SIZE)
fn out(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = workgroup.y;
  let first_row = workgroup.x * WORKGROUP_ROWS; // in the part
  let row = first_row + local % PAIRS;
  let shares = row_products(row, row + PAIRS, local / PAIRS, token * (COLUMNS / 4));
  let sums = join_splits(shares, local);
  if (local < PAIRS) {
    let to = params.first_row + row;
    add_row(token, to, local, sums.x + bias[to]);
    add_row(token, to + PAIRS, local + PAIRS, sums.y + bias[to + PAIRS]);
  }
  add_squares(token, params.first_row + first_row, local);
}

fn input_quad(i: u32) -> vec4f {
  return attended[i];
}
