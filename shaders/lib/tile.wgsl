// Weight matrices lie in tiles of 32 rows, [tile][vector of columns][row in tile], so that 32 neighbouring
// invocations read 512 contiguous bytes, one row each.

const TILE_ROWS = 32u;

// Where a row's i-th vector, or word of scales, lies: of `count` to a row.
fn tile_index(row: u32, count: u32, i: u32) -> u32 {
  return (row / TILE_ROWS * count + i) * TILE_ROWS + row % TILE_ROWS;
}
