// MXFP4 scales as published -> as lib/mxfp4 reads them.
// import: bytes

// The first bytes of up to 4 staged blocks, in one u32.
fn packed_scales(first_block: u32, count: u32, block_bytes: u32) -> u32 {
  var packed = 0u;
  for (var j = 0u; j < count; j++) {
    packed |= (row_word((first_block + j) * block_bytes) & 0xff) << (8 * j);
  }
  return packed;
}
