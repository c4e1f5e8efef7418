// y[t] = W x[t] + b, or y[t] += W x[t] + b; for many tokens: a workgroup reads 32 rows of W once for 64 tokens.
//
// Grid: (tiles of the part, ceil(tokens / TILE_TOKENS)).
// import: dense, step, tile, tile_product

override COLUMNS: u32 = 2880;
override ROWS: u32 = 2880; // of all parts
override HAS_BIAS: bool = true;
override ADD: bool = false;

const TILE_TOKENS = 64u;

struct Params {
  first_row: u32, // of the part, a multiple of TILE_ROWS
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
  let tile = workgroup.x;
  let first_token = workgroup.y * TILE_TOKENS;
  let tokens = step.tokens;
  tile_product(tile, first_token, tokens - first_token, local);

  for (var i = 0u; i < 4; i++) {
    let token = first_token + product_token(local) + i * (TILE_TOKENS / 4);
    for (var j = 0u; j < 4; j++) {
      let row = params.first_row + tile * TILE_ROWS + product_row(local) + j % 2 + j / 2 * 16;
      if (token < tokens && row < ROWS) {
        let at = token * ROWS + row;
        var sum = product[i][j];
        if (HAS_BIAS) {
          sum += bias[row];
        }
        if (ADD) {
          sum += y[at];
        }
        y[at] = sum;
      }
    }
  }
}

fn input_row(i: u32) -> u32 {
  return i;
}

fn input_quad(i: u32) -> vec4f {
  return x[i];
}
