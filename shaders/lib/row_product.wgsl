// Rows of a weight matrix times one row of numbers, the columns split over SPLITS invocations (lib/join_splits).
// Expects a weight format (lib/dense_*, lib/mxfp4), the binding `weights`, the overrides COLUMNS and SPLITS, and a function
// input_quad(i), the i-th vec4f of the numbers.
// import: tile

// The share of one split in row `row` of a tile times the numbers from quad `first` on: every SPLITS-th vector.
fn row_product(tile: u32, row: u32, split: u32, first: u32) -> f32 {
  let vectors = COLUMNS / (4 * VECTOR_QUADS);
  var sum = 0f;
  for (var v = split; v < vectors; v += SPLITS) {
    let values = vector_values(weights[(tile * vectors + v) * TILE_ROWS + row]);
    var product = 0f;
    for (var i = 0u; i < VECTOR_QUADS; i++) {
      product += dot(values[i], input_quad(first + v * VECTOR_QUADS + i));
    }
    sum += product * vector_scale(tile, v, row);
  }
  return sum;
}
