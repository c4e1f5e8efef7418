// A tile of input rows times a tile of 32 weight rows, 32 columns at a time, from workgroup memory. An invocation makes
// 4 input rows x 4 weight rows. Expects TILE_TOKENS (the input rows of a tile), a weight format (lib/dense_*,
// lib/mxfp4), the binding `weights`, the override COLUMNS, and two functions: input_row(i), the row that is the i-th
// input, and input_quad(i), the i-th vec4f of the input's numbers.
// import: tile

const STEP_QUADS = 8u; // vec4f of columns in a step
const STEP_VECTORS = STEP_QUADS / VECTOR_QUADS; // weight vectors of a row in a step
const PRODUCT_SIZE = TILE_TOKENS * 2; // invocations of the workgroup
const_assert STEP_VECTORS * TILE_ROWS <= PRODUCT_SIZE;

var<workgroup> token_tile: array<vec4f, STEP_QUADS * TILE_TOKENS>; // [quad, token]
var<workgroup> row_tile: array<vec4f, STEP_QUADS * TILE_ROWS>;     // [quad, row]

// Rows of one invocation: 2 pairs of neighbours (gate and up are neighbours), 16 rows apart.
// Tokens of one invocation: TILE_TOKENS / 4 apart.
fn product_row(local: u32) -> u32 {
  return local % 8 * 2;
}
fn product_token(local: u32) -> u32 {
  return local / 8;
}

// Component j of element i: token product_token + i * TILE_TOKENS / 4, row product_row + j % 2 + j / 2 * 16.
var<private> product: array<vec4f, 4>;

// Fills `product`: the weight rows of `tile` times up to TILE_TOKENS inputs, the first `count` of those from `first` on.
// Every invocation must call it, in uniform control flow.
fn tile_product(tile: u32, first: u32, count: u32, local: u32) {
  let vectors = COLUMNS / (4 * VECTOR_QUADS);
  for (var block = 0u; block < COLUMNS / (4 * STEP_QUADS); block++) {
    for (var i = local; i < STEP_QUADS * TILE_TOKENS; i += PRODUCT_SIZE) {
      let at = i / STEP_QUADS;
      var quad = vec4f();
      if (at < count) {
        quad = input_quad(input_row(first + at) * (COLUMNS / 4) + block * STEP_QUADS + i % STEP_QUADS);
      }
      token_tile[i % STEP_QUADS * TILE_TOKENS + at] = quad;
    }
    if (local < STEP_VECTORS * TILE_ROWS) {
      let row = local % TILE_ROWS;
      let v = block * STEP_VECTORS + local / TILE_ROWS;
      let packed = weights[(tile * vectors + v) * TILE_ROWS + row];
      let scale = vector_scale(tile, v, row);
      for (var q = 0u; q < VECTOR_QUADS; q++) {
        row_tile[(local / TILE_ROWS % STEP_VECTORS * VECTOR_QUADS + q) * TILE_ROWS + row] =
          quad_values(packed, q) * VECTOR_UNIT * scale;
      }
    }
    workgroupBarrier();
    accumulate_product(local);
    workgroupBarrier();
  }
}

// Here and above, `%` lets compilers prove that an index is in bounds, and omit the check.
fn accumulate_product(local: u32) {
  let row = local % 8 * 2;
  let token = local / 8 % (TILE_TOKENS / 4);
  for (var q = 0u; q < STEP_QUADS; q++) {
    let w0 = row_tile[q * TILE_ROWS + row];
    let w1 = row_tile[q * TILE_ROWS + row + 1];
    let w2 = row_tile[q * TILE_ROWS + row + 16];
    let w3 = row_tile[q * TILE_ROWS + row + 17];
    for (var i = 0u; i < 4; i++) {
      let x = token_tile[q * TILE_TOKENS + token + i * (TILE_TOKENS / 4)];
      product[i] += vec4f(dot(x, w0), dot(x, w1), dot(x, w2), dot(x, w3));
    }
  }
}
