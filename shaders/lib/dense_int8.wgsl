// Dense weights in 8 bits: groups of 32 columns with one f16 scale, value = int8 * scale.
// A 16-byte vector holds 16 columns of one row, half a group. A u32 of `scales` holds those of two groups,
// [tile][pair of groups][row in tile]. Expects the binding `scales` and the override COLUMNS.
// import: halves, tile

const VECTOR_QUADS = 4u; // vec4f of columns in a vector
const VECTOR_UNIT = 1f;  // see lib/mxfp4

// The i-th vec4f of a vector, without its scale.
fn quad_values(v: vec4u, i: u32) -> vec4f {
  return int8_quad(v[i]);
}

fn vector_scale(tile: u32, vector: u32, row: u32) -> f32 {
  let group = vector / 2;
  let pairs = (COLUMNS + 2 * BLOCK_COLUMNS - 1) / (2 * BLOCK_COLUMNS);
  let pair = scales[(tile * pairs + group / 2) * TILE_ROWS + row];
  return halves(pair >> (16 * (group & 1))).x;
}
