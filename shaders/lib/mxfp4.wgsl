// MXFP4: blocks of 32 columns, 4-bit floats (e2m1) with one shared power of two (e8m0).
// https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf
//
// A block is one vec4u, the vector of these matrices. Within a u32, the low nibbles of its bytes are columns 0..3 and
// the high nibbles columns 4..7; there is no negative zero (repack_* and quantize_mxfp4 ensure both).
// Scales are bytes, [tile][4 blocks][row in tile], one u32 for 4 blocks. Expects the binding `scales` and the override
// COLUMNS.
// import: tile

const VECTOR_QUADS = BLOCK_COLUMNS / 4; // vec4f of columns in a vector

// Twice the values of four e2m1 codes, one in each byte: 0, 1, 2, 3, 4, 6, 8, 12 and their negatives.
fn doubled_e2m1(codes: u32) -> vec4f {
  let m = codes & 0x07070707;
  let high = (m >> 2) & 0x01010101;
  let middle = (m >> 1) & 0x01010101;
  let low = m & 0x01010101;
  let magnitude = m + (low & high) + ((middle & high) << 1) + ((middle & low & high) << 1);
  // Two's complement in each byte: (magnitude ^ 0xff) + 1. It carries into no neighbour, as magnitude is not 0 there.
  let sign = (codes >> 3) & 0x01010101;
  return vec4f(unpack4xI8((magnitude ^ (sign * 0xff)) + sign));
}

// Twice the values of a block, without its scale.
fn vector_values(block: vec4u) -> array<vec4f, VECTOR_QUADS> {
  return array(
    doubled_e2m1(block.x), doubled_e2m1(block.x >> 4),
    doubled_e2m1(block.y), doubled_e2m1(block.y >> 4),
    doubled_e2m1(block.z), doubled_e2m1(block.z >> 4),
    doubled_e2m1(block.w), doubled_e2m1(block.w >> 4),
  );
}

// One vec4f of `vector_values`.
fn quad_values(block: vec4u, quad: u32) -> vec4f {
  return doubled_e2m1(block[quad / 2] >> (quad % 2 * 4));
}

// Half of 2^(byte - 127), for the block's doubled values. For bytes 0 and 1 that is below the normal f32 range, which a
// GPU may flush to zero; blocks with these scales, at most 7e-38, are zero here on every GPU.
fn vector_scale(tile: u32, block: u32, row: u32) -> f32 {
  let words = (COLUMNS / BLOCK_COLUMNS + 3) / 4;
  let scales_of_4_blocks = scales[(tile * words + block / 4) * TILE_ROWS + row];
  let exponent = (scales_of_4_blocks >> (8 * (block & 3))) & 0xff;
  return bitcast<f32>((max(exponent, 1u) - 1) << 23);
}
