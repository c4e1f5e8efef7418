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
  // Component j of a0 and b0: input j; of a1 and b1: input 4 + j.
  var a0 = vec4f();
  var b0 = vec4f();
  var a1 = vec4f();
  var b1 = vec4f();
  let vectors = COLUMNS / (4 * VECTOR_QUADS);
  for (var v = 0u; v < vectors; v++) {
    let at = ((first_tile + tile) * vectors + v) * TILE_ROWS + row;
    let a_vector = weights[at];
    let b_vector = weights[at + 1];
    let a_scale = vector_scale(first_tile + tile, v, row);
    let b_scale = vector_scale(first_tile + tile, v, row + 1);
    for (var quad = 0u; quad < VECTOR_QUADS; quad++) {
      let a = quad_values(a_vector, quad) * a_scale;
      let b = quad_values(b_vector, quad) * b_scale;
      let i = v * VECTOR_QUADS + quad;
      let i0 = input_quad(x0 + i);
      let i1 = input_quad(x1 + i);
      let i2 = input_quad(x2 + i);
      let i3 = input_quad(x3 + i);
      a0 += vec4f(dot(a, i0), dot(a, i1), dot(a, i2), dot(a, i3));
      b0 += vec4f(dot(b, i0), dot(b, i1), dot(b, i2), dot(b, i3));
      if (count > 4) {
        let i4 = input_quad(x4 + i);
        let i5 = input_quad(x5 + i);
        let i6 = input_quad(x6 + i);
        let i7 = input_quad(x7 + i);
        a1 += vec4f(dot(a, i4), dot(a, i5), dot(a, i6), dot(a, i7));
        b1 += vec4f(dot(b, i4), dot(b, i5), dot(b, i6), dot(b, i7));
      }
    }
  }
  let output_row = tile * TILE_ROWS + row;
  for (var i = 0u; i < min(count, 4); i++) {
    output_pair(first + i, output_row, vec2f(a0[i], b0[i]));
    if (i + 4 < count) {
      output_pair(first + i + 4, output_row, vec2f(a1[i], b1[i]));
    }
  }
}
