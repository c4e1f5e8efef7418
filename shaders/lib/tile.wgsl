// Weight matrices lie in tiles of 32 rows, [tile][vector of columns][row in tile], so that 32 neighbouring
// invocations read 512 contiguous bytes, one row each.

const TILE_ROWS = 32u;
