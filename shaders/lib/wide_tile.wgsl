// What the products of wide tiles share: TILE_INPUTS inputs by PRODUCT_ROWS rows, 4 inputs x 4 rows to an invocation.
// import: tile

const TILE_INPUTS = 64u; // the most inputs of a workgroup
const PRODUCT_ROWS = 64u; // weight rows of a workgroup
const PRODUCT_SIZE = 256u; // invocations of a workgroup

// Places of the inputs, or rows, of 4 columns in workgroup memory: neighbours that store different columns use different
// banks. Even rows are before odd ones.
const STRIDE = 66u;

// Of input i * 16 + local / 16 with rows r, r + 1, r + 32 and r + 33, where r = local % 16 * 2.
var<private> sum0: vec4f;
var<private> sum1: vec4f;
var<private> sum2: vec4f;
var<private> sum3: vec4f;

// The row at a place.
fn row_at(place: u32) -> u32 {
  return place % 32 * 2 + place / 32;
}

// Puts out the sums of the group-th PRODUCT_ROWS rows and the first `count` inputs from `first` on.
fn output_tile(tiles: u32, group: u32, first: u32, count: u32, local: u32) {
  let row = group * PRODUCT_ROWS + local % 16 * 2;
  let input = local / 16;
  output_sums(input, row, first, count, tiles, sum0);
  output_sums(input + 16, row, first, count, tiles, sum1);
  output_sums(input + 32, row, first, count, tiles, sum2);
  output_sums(input + 48, row, first, count, tiles, sum3);
}

fn output_sums(input: u32, row: u32, first: u32, count: u32, tiles: u32, sums: vec4f) {
  if (input < count) {
    output_pair(first + input, row, sums.xy);
    if (row + 32 < tiles * TILE_ROWS) {
      output_pair(first + input, row + 32, sums.zw);
    }
  }
}
