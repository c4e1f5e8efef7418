// y[t] = W x[t] + b, or y[t] += W x[t] + b; for few tokens: every token reads the weights.
//
// Grid: (tiles of the part, tokens). A workgroup makes the 32 rows of a tile; SPLITS invocations share a row's columns.
// import: dense, join_splits, row_product, tile

override COLUMNS: u32 = 2880;
override ROWS: u32 = 2880; // of all parts
override HAS_BIAS: bool = true;
override ADD: bool = false;
override SPLITS: u32 = 8; // invocations that share a row's columns

const WORKGROUP_ROWS = TILE_ROWS; // for lib/join_splits

struct Params {
  first_row: u32, // of the part, a multiple of TILE_ROWS
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4u>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;    // [ROWS]
@group(0) @binding(4) var<storage, read> x: array<vec4f>;     // [tokens, COLUMNS]
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [tokens, ROWS]

@compute @workgroup_size(WORKGROUP_ROWS * SPLITS)
fn linear(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let tile = workgroup.x;
  let token = workgroup.y;
  let row = workgroup_row(local);
  let split = column_split(local);
  var sum = join_splits(row_product(tile, row, split, token * (COLUMNS / 4)), local);

  let y_row = params.first_row + tile * TILE_ROWS + row;
  if (split == 0 && y_row < ROWS) {
    if (HAS_BIAS) {
      sum += bias[y_row];
    }
    let at = token * ROWS + y_row;
    if (ADD) {
      sum += y[at];
    }
    y[at] = sum;
  }
}

fn input_quad(i: u32) -> vec4f {
  return x[i];
}
