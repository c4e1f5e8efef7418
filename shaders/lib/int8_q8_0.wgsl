// Published rows in ggml's Q8_0 -> groups of lib/dense_int8, which hold the same numbers: nothing is rounded.
// Expects the binding `weights` and the override COLUMNS.
// import: bytes, q8_0, tile

// Writes 32 columns; returns the group's scale, as f16 bits.
fn repack_group(from_row: u32, row: u32, group: u32) -> u32 {
  let block = (from_row * (COLUMNS / BLOCK_COLUMNS) + group) * Q8_0_BYTES;
  for (var i = 0u; i < 2; i++) {
    let at = block + 2 + 16 * i;
    weights[tile_index(row, COLUMNS / 16, 2 * group + i)] =
      vec4u(row_word(at), row_word(at + 4), row_word(at + 8), row_word(at + 12));
  }
  return row_word(block) & 0xffff;
}
