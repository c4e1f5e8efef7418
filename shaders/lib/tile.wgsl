// Weight matrices are stored in tiles of 32 rows, [tile][vector of columns][row in tile], so that 32 neighbouring
// invocations read 512 contiguous bytes, one row each.

const TILE_ROWS = 32u;

// Columns of an MXFP4 block, of a Q8_0 block, and of a group of 8-bit weights.
const BLOCK_COLUMNS = 32u;

// The index of a row's i-th vector, or i-th word of scales, if a row has `count` of them.
fn tile_index(row: u32, count: u32, i: u32) -> u32 {
  return (row / TILE_ROWS * count + i) * TILE_ROWS + row % TILE_ROWS;
}
