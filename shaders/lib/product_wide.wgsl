// The product of many inputs with a tile of rows, from workgroup memory, 16 columns at a time. See lib/product_narrow for
// few inputs, and for what both expect.
// import: tile, wide_tile

const STEP_QUADS = 4u; // vec4f of columns in a step: one of an input and one of a row for each invocation

var<workgroup> input_tile: array<vec4f, STEP_QUADS * STRIDE>; // [quad, place of the input]
var<workgroup> row_tile: array<vec4f, STEP_QUADS * STRIDE>;   // [quad, place of the row]

// As in lib/product_narrow. Every invocation must call it, in uniform control flow.
fn tile_product(first_tile: u32, tiles: u32, group: u32, first: u32, count: u32, local: u32) {
  let quad = local % STEP_QUADS;
  let place = local / STEP_QUADS;
  let row = row_at(place);
  // The last input and the last tile stand for those beyond.
  let input = input_row(first + min(place, count - 1)) * (COLUMNS / 4);
  let tile = first_tile + min(group * (PRODUCT_ROWS / TILE_ROWS) + row / TILE_ROWS, tiles - 1);
  let first_vector = tile * (COLUMNS / (4 * VECTOR_QUADS)) * TILE_ROWS + row % TILE_ROWS;
  let at = quad * STRIDE + place;

  for (var q = 0u; q < COLUMNS / 4; q++) {
    if (q % STEP_QUADS == 0) {
      let i = q + quad;
      let v = i / VECTOR_QUADS;
      let x = input_quad(input + i);
      let vector = weights[first_vector + v * TILE_ROWS];
      let scale = vector_scale(tile, v, row % TILE_ROWS);
      workgroupBarrier();
      input_tile[at] = x;
      row_tile[at] = quad_values(vector, i % VECTOR_QUADS) * VECTOR_UNIT * scale;
      workgroupBarrier();
    }
    accumulate_quad(q, count, local);
  }
  output_tile(tiles, group, first, count, local);
}

// `%` lets compilers prove that indexes are in bounds, and omit the checks.
fn accumulate_quad(q: u32, count: u32, local: u32) {
  let row = q % STEP_QUADS * STRIDE + local % 16;
  let w0 = row_tile[row];
  let w1 = row_tile[row + 32];
  let w2 = row_tile[row + 16];
  let w3 = row_tile[row + 48];
  let input = q % STEP_QUADS * STRIDE + local / 16 % 16;
  let x0 = input_tile[input];
  sum0 += vec4f(dot(x0, w0), dot(x0, w1), dot(x0, w2), dot(x0, w3));
  if (count > 16) {
    let x1 = input_tile[input + 16];
    sum1 += vec4f(dot(x1, w0), dot(x1, w1), dot(x1, w2), dot(x1, w3));
  }
  if (count > 32) {
    let x2 = input_tile[input + 32];
    sum2 += vec4f(dot(x2, w0), dot(x2, w1), dot(x2, w2), dot(x2, w3));
  }
  if (count > 48) {
    let x3 = input_tile[input + 48];
    sum3 += vec4f(dot(x3, w0), dot(x3, w1), dot(x3, w2), dot(x3, w3));
  }
}
