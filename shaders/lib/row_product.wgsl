// Two rows of a weight matrix times one row of numbers, the columns split over SPLITS invocations (lib/join_splits). Two
// rows share what is read of the numbers, and have twice the weights in flight.
// Expects a weight format (lib/dense_*, lib/mxfp4), the binding `weights`, the overrides COLUMNS and SPLITS, and a function
// input_quad(i), the i-th vec4f of the numbers.
// import: tile

const BLOCK_QUADS = BLOCK_COLUMNS / 4;
const BLOCK_VECTORS = BLOCK_QUADS / VECTOR_QUADS;

// The share of one split in the rows `a` and `b` times the numbers from quad `first` on: every SPLITS-th block of columns.
fn row_products(a: u32, b: u32, split: u32, first: u32) -> vec2f {
  let blocks = COLUMNS / BLOCK_COLUMNS;
  let first_a = tile_index(a, blocks * BLOCK_VECTORS, 0);
  let first_b = tile_index(b, blocks * BLOCK_VECTORS, 0);
  var sums = vec2f();
  for (var block = split; block < blocks; block += SPLITS) {
    let scales = vec2f(
      vector_scale(a / TILE_ROWS, block * BLOCK_VECTORS, a % TILE_ROWS),
      vector_scale(b / TILE_ROWS, block * BLOCK_VECTORS, b % TILE_ROWS),
    );
    var products = vec2f();
    for (var v = 0u; v < BLOCK_VECTORS; v++) {
      let at = block * BLOCK_VECTORS + v;
      let vector_a = weights[first_a + at * TILE_ROWS];
      let vector_b = weights[first_b + at * TILE_ROWS];
      for (var i = 0u; i < VECTOR_QUADS; i++) {
        let x = input_quad(first + at * VECTOR_QUADS + i);
        products += vec2f(dot(quad_values(vector_a, i), x), dot(quad_values(vector_b, i), x));
      }
    }
    sums += products * VECTOR_UNIT * scales;
  }
  return sums;
}
