// y[t] = W x[t] + b, or y[t] += W x[t] + b; for many tokens: a workgroup reads its rows of W once for TILE_INPUTS tokens.
//
// Grid: (ceil(rows of the part / PRODUCT_ROWS), ceil(tokens / TILE_INPUTS)).
// import: dense, product, step, tile

override COLUMNS: u32 = 2880;
override ROWS: u32 = 2880; // of all parts
override HAS_BIAS: bool = true;
override ADD: bool = false;

struct Params {
  first_row: u32, // of the part, a multiple of TILE_ROWS
  tiles: u32, // of the part
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4u>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;    // [ROWS]
@group(0) @binding(4) var<storage, read> x: array<vec4f>;     // [tokens, COLUMNS]
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [tokens, ROWS]
@group(0) @binding(6) var<uniform> step: Step;

@compute @workgroup_size(PRODUCT_SIZE)
fn linear_tiled(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = workgroup.y * TILE_INPUTS;
  let count = min(step.tokens - first, TILE_INPUTS);
  tile_product(0, params.tiles, workgroup.x, first, count, local);
}

fn input_row(i: u32) -> u32 {
  return i;
}

fn input_quad(i: u32) -> vec4f {
  return x[i];
}

fn output_pair(i: u32, row: u32, values: vec2f) {
  output(i, params.first_row + row, values.x);
  output(i, params.first_row + row + 1, values.y);
}

fn output(i: u32, row: u32, value: f32) {
  if (row >= ROWS) {
    return; // a spare row of the last tile
  }
  let at = i * ROWS + row;
  var sum = value;
  if (HAS_BIAS) {
    sum += bias[row];
  }
  if (ADD) {
    sum += y[at];
  }
  y[at] = sum;
}
