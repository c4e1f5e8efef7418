// MXFP4: blocks of 32 columns, 4-bit floats (e2m1) with one shared power of two (e8m0).
// https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf
//
// A block is one vec4u, the vector of these matrices. Scales are bytes, [tile][4 blocks][row in tile], one u32 for 4 blocks.
// Expects the binding `scales` and the override COLUMNS.
// import: halves, tile

const VECTOR_QUADS = BLOCK_COLUMNS / 4; // vec4f of columns in a vector
const VECTOR_UNIT = 0x1p15f;            // quad_values * VECTOR_UNIT * vector_scale are the numbers

// The i-th vec4f of a block, without its scale: half a word.
fn quad_values(block: vec4u, i: u32) -> vec4f {
  return e2m1_quad(block[i >> 1], i & 1);
}

// Half of 2^(byte - 127); the other factor 2 is in VECTOR_UNIT. For bytes 0 and 1 that is below the normal f32 range,
// which a GPU may flush to zero; blocks with these scales, at most 7e-38, are zero here on every GPU.
fn vector_scale(tile: u32, block: u32, row: u32) -> f32 {
  let words = (COLUMNS / BLOCK_COLUMNS + 3) / 4;
  let scales_of_4_blocks = scales[(tile * words + block / 4) * TILE_ROWS + row];
  let exponent = (scales_of_4_blocks >> (8 * (block & 3))) & 0xff;
  return bitcast<f32>((max(exponent, 1u) - 1) << 23);
}
