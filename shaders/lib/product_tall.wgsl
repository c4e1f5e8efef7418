// The product of a few inputs with many rows on software adapters, where a load costs more than the arithmetic on it: an
// invocation makes 8 neighbouring rows of up to 4 inputs. See lib/product_narrow for what it expects.
// import: tile

const TILE_INPUTS = 4u; // the most inputs of a workgroup
const PRODUCT_ROWS = 128u; // weight rows of a workgroup
const PRODUCT_SIZE = PRODUCT_ROWS / 8; // invocations of a workgroup

// As in lib/product_narrow.
fn tile_product(first_tile: u32, tiles: u32, group: u32, first: u32, count: u32, local: u32) {
  let output_tile = group * (PRODUCT_ROWS / TILE_ROWS) + local / (TILE_ROWS / 8);
  if (output_tile >= tiles) {
    return;
  }
  let tile = first_tile + output_tile;
  let row = local % (TILE_ROWS / 8) * 8;
  let last = first + count - 1; // stands for the inputs beyond
  let x0 = input_row(first) * (COLUMNS / 4);
  let x1 = input_row(min(first + 1, last)) * (COLUMNS / 4);
  let x2 = input_row(min(first + 2, last)) * (COLUMNS / 4);
  let x3 = input_row(min(first + 3, last)) * (COLUMNS / 4);
  // A row of four inputs each.
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  var sum4 = vec4f();
  var sum5 = vec4f();
  var sum6 = vec4f();
  var sum7 = vec4f();
  let first_vector = tile * (COLUMNS / (4 * VECTOR_QUADS)) * TILE_ROWS + row;
  for (var v = 0u; v < COLUMNS / (4 * VECTOR_QUADS); v++) {
    let at = first_vector + v * TILE_ROWS;
    let vector0 = weights[at];
    let vector1 = weights[at + 1];
    let vector2 = weights[at + 2];
    let vector3 = weights[at + 3];
    let vector4 = weights[at + 4];
    let vector5 = weights[at + 5];
    let vector6 = weights[at + 6];
    let vector7 = weights[at + 7];
    let scale0 = vector_scale(tile, v, row);
    let scale1 = vector_scale(tile, v, row + 1);
    let scale2 = vector_scale(tile, v, row + 2);
    let scale3 = vector_scale(tile, v, row + 3);
    let scale4 = vector_scale(tile, v, row + 4);
    let scale5 = vector_scale(tile, v, row + 5);
    let scale6 = vector_scale(tile, v, row + 6);
    let scale7 = vector_scale(tile, v, row + 7);
    for (var quad = 0u; quad < VECTOR_QUADS; quad++) {
      let i = v * VECTOR_QUADS + quad;
      let x = mat4x4f(input_quad(x0 + i), input_quad(x1 + i), input_quad(x2 + i), input_quad(x3 + i));
      sum0 += four_products(vector0, scale0, quad, x);
      sum1 += four_products(vector1, scale1, quad, x);
      sum2 += four_products(vector2, scale2, quad, x);
      sum3 += four_products(vector3, scale3, quad, x);
      sum4 += four_products(vector4, scale4, quad, x);
      sum5 += four_products(vector5, scale5, quad, x);
      sum6 += four_products(vector6, scale6, quad, x);
      sum7 += four_products(vector7, scale7, quad, x);
    }
  }
  for (var input = 0u; input < count; input++) {
    let output_row = output_tile * TILE_ROWS + row;
    output_pair(first + input, output_row, vec2f(sum0[input], sum1[input]));
    output_pair(first + input, output_row + 2, vec2f(sum2[input], sum3[input]));
    output_pair(first + input, output_row + 4, vec2f(sum4[input], sum5[input]));
    output_pair(first + input, output_row + 6, vec2f(sum6[input], sum7[input]));
  }
}

// A quad of a row, times the same quad of each input: a column of x.
fn four_products(vector: vec4u, scale: f32, quad: u32, x: mat4x4f) -> vec4f {
  return quad_values(vector, quad) * VECTOR_UNIT * scale * x;
}
