// The product of a few inputs with many rows, in registers: an invocation makes a pair of neighbouring rows of up to 8
// inputs. All invocations read the same numbers of the inputs at the same time, so a subgroup can load them once.
// Expects a weight format (lib/dense_*, lib/mxfp4), the binding `weights`, the override COLUMNS, and three functions:
// input_row(i), the row that is the i-th input; input_quad(i), the i-th vec4f of the inputs' numbers; and
// output_pair(i, row, values), which takes two neighbouring rows of the i-th input's product.
// import: tile

const TILE_INPUTS = 8u; // the most inputs of a workgroup
const PRODUCT_ROWS = 128u; // weight rows of a workgroup
const PRODUCT_SIZE = PRODUCT_ROWS / 2; // invocations of a workgroup

// The product of rows of a matrix of `tiles` tiles from `first_tile` on, the group-th PRODUCT_ROWS of them, with the
// first `count` inputs from `first` on, at most TILE_INPUTS.
fn tile_product(first_tile: u32, tiles: u32, group: u32, first: u32, count: u32, local: u32) {
  let tile = group * (PRODUCT_ROWS / TILE_ROWS) + local / (TILE_ROWS / 2);
  if (tile >= tiles) {
    return;
  }
  let row = local % (TILE_ROWS / 2) * 2;
  let last = first + count - 1; // stands for the inputs beyond
  let x0 = input_row(first) * (COLUMNS / 4);
  let x1 = input_row(min(first + 1, last)) * (COLUMNS / 4);
  let x2 = input_row(min(first + 2, last)) * (COLUMNS / 4);
  let x3 = input_row(min(first + 3, last)) * (COLUMNS / 4);
  let x4 = input_row(min(first + 4, last)) * (COLUMNS / 4);
  let x5 = input_row(min(first + 5, last)) * (COLUMNS / 4);
  let x6 = input_row(min(first + 6, last)) * (COLUMNS / 4);
  let x7 = input_row(min(first + 7, last)) * (COLUMNS / 4);
  // For two inputs each: row and row + 1 of the first, then of the second.
  var sum01 = vec4f();
  var sum23 = vec4f();
  var sum45 = vec4f();
  var sum67 = vec4f();
  let first_vector = (first_tile + tile) * (COLUMNS / (4 * VECTOR_QUADS)) * TILE_ROWS + row;
  for (var v = 0u; v < COLUMNS / (4 * VECTOR_QUADS); v++) {
    let vector0 = weights[first_vector + v * TILE_ROWS];
    let vector1 = weights[first_vector + v * TILE_ROWS + 1];
    let scale0 = vector_scale(first_tile + tile, v, row);
    let scale1 = vector_scale(first_tile + tile, v, row + 1);
    for (var quad = 0u; quad < VECTOR_QUADS; quad++) {
      let i = v * VECTOR_QUADS + quad;
      let w0 = quad_values(vector0, quad) * VECTOR_UNIT * scale0;
      let w1 = quad_values(vector1, quad) * VECTOR_UNIT * scale1;
      sum01 += products_of_two(w0, w1, x0 + i, x1 + i);
      if (count > 2) {
        sum23 += products_of_two(w0, w1, x2 + i, x3 + i);
      }
      if (count > 4) {
        sum45 += products_of_two(w0, w1, x4 + i, x5 + i);
      }
      if (count > 6) {
        sum67 += products_of_two(w0, w1, x6 + i, x7 + i);
      }
    }
  }
  let output_row = tile * TILE_ROWS + row;
  output_two(0, output_row, first, count, sum01);
  output_two(2, output_row, first, count, sum23);
  output_two(4, output_row, first, count, sum45);
  output_two(6, output_row, first, count, sum67);
}

fn products_of_two(w0: vec4f, w1: vec4f, i: u32, j: u32) -> vec4f {
  let x0 = input_quad(i);
  let x1 = input_quad(j);
  return vec4f(dot(w0, x0), dot(w1, x0), dot(w0, x1), dot(w1, x1));
}

fn output_two(input: u32, row: u32, first: u32, count: u32, sums: vec4f) {
  if (input < count) {
    output_pair(first + input, row, sums.xy);
  }
  if (input + 1 < count) {
    output_pair(first + input + 1, row, sums.zw);
  }
}
