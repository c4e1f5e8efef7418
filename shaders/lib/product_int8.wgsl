// lib/product_wide with multiplications of int8: a block of 32 columns of an input becomes integers with a scale, its
// largest magnitude / 127. Expects a weight format whose quad_values * VECTOR_UNIT are integers: int8, MXFP4.
// import: tile, wide_tile

const STEP_QUADS = BLOCK_COLUMNS / 4; // four columns each, two of an input and two of a row for each invocation

// Four int8.
var<workgroup> input_tile: array<u32, STEP_QUADS * STRIDE>; // [quad, place of the input]
var<workgroup> row_tile: array<u32, STEP_QUADS * STRIDE>;   // [quad, place of the row]
var<workgroup> input_scales: array<f32, TILE_INPUTS>;
var<workgroup> row_scales: array<f32, PRODUCT_ROWS>;        // [place of the row]
var<workgroup> magnitudes: array<f32, PRODUCT_SIZE>;        // [place of the input, share], the largest ones

// As in lib/product_narrow. Every invocation must call it, in uniform control flow.
fn tile_product(first_tile: u32, tiles: u32, group: u32, first: u32, count: u32, local: u32) {
  let quad = local % 4 * 2;
  let place = local / 4;
  let row = row_at(place);
  // The last input and the last tile stand for those beyond.
  let input = input_row(first + min(place, count - 1)) * (COLUMNS / 4);
  let tile = first_tile + min(group * (PRODUCT_ROWS / TILE_ROWS) + row / TILE_ROWS, tiles - 1);
  let first_vector = tile * (COLUMNS / (4 * VECTOR_QUADS)) * TILE_ROWS + row % TILE_ROWS;
  let at = quad * STRIDE + place;

  for (var block = 0u; block < COLUMNS / BLOCK_COLUMNS; block++) {
    let i = block * STEP_QUADS + quad;
    let v = i / VECTOR_QUADS;
    let x0 = input_quad(input + i);
    let x1 = input_quad(input + i + 1);
    let vector = weights[first_vector + v * TILE_ROWS];
    let scale = vector_scale(tile, v, row % TILE_ROWS);
    let m = max(abs(x0), abs(x1));
    magnitudes[local] = max(max(m.x, m.y), max(m.z, m.w));
    workgroupBarrier();
    let share = place * 4;
    let largest = max(
      max(magnitudes[share], magnitudes[share + 1]),
      max(magnitudes[share + 2], magnitudes[share + 3]),
    );
    // A little less than 127 / largest, so that no rounding makes 128.
    let factor = 126.99 / max(largest, 1e-30);
    input_tile[at] = packed_integers(x0 * factor);
    input_tile[at + STRIDE] = packed_integers(x1 * factor);
    row_tile[at] = packed_integers(quad_values(vector, quad % VECTOR_QUADS) * VECTOR_UNIT);
    row_tile[at + STRIDE] = packed_integers(quad_values(vector, quad % VECTOR_QUADS + 1) * VECTOR_UNIT);
    if (quad == 0) {
      input_scales[place] = largest / 127;
      row_scales[place] = scale;
    }
    workgroupBarrier();
    accumulate_block(count, local);
  }
  output_tile(tiles, group, first, count, local);
}

// Four numbers of at most 127 -> the nearest int8. The addition leaves the integer in the lowest bits; a conversion would
// be clamped to the range of i32 first.
fn packed_integers(values: vec4f) -> u32 {
  return pack4xI8(bitcast<vec4i>(values + 0x1.8p23f));
}

fn accumulate_block(count: u32, local: u32) {
  var block0 = vec4i();
  var block1 = vec4i();
  var block2 = vec4i();
  var block3 = vec4i();
  for (var quad = 0u; quad < STEP_QUADS; quad++) {
    let row = quad * STRIDE + local % 16;
    let w = vec4u(row_tile[row], row_tile[row + 32], row_tile[row + 16], row_tile[row + 48]);
    let input = quad * STRIDE + local / 16 % 16;
    block0 += quad_products(input_tile[input], w);
    if (count > 16) {
      block1 += quad_products(input_tile[input + 16], w);
    }
    if (count > 32) {
      block2 += quad_products(input_tile[input + 32], w);
    }
    if (count > 48) {
      block3 += quad_products(input_tile[input + 48], w);
    }
  }
  let place = local % 16;
  let scales =
    vec4f(row_scales[place], row_scales[place + 32], row_scales[place + 16], row_scales[place + 48]);
  let input = local / 16 % 16;
  sum0 += vec4f(block0) * scales * input_scales[input];
  sum1 += vec4f(block1) * scales * input_scales[input + 16];
  sum2 += vec4f(block2) * scales * input_scales[input + 32];
  sum3 += vec4f(block3) * scales * input_scales[input + 48];
}

fn quad_products(x: u32, w: vec4u) -> vec4i {
  return vec4i(dot4I8Packed(x, w.x), dot4I8Packed(x, w.y), dot4I8Packed(x, w.z), dot4I8Packed(x, w.w));
}
