// The inner loop of the tiled matmuls: a tile of tokens times a tile of 32 weight rows, 32 columns at a time, from
// workgroup memory. An invocation makes 4 tokens x 4 rows. Expects TILE_TOKENS, the tokens of a tile.
// import: tile

const STEP_QUADS = 8u; // vec4f of columns in a step
const PRODUCT_SIZE = TILE_TOKENS * 2; // invocations of the workgroup

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

fn accumulate_product(local: u32) {
  let row = product_row(local);
  let token = product_token(local);
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
