// e2m1 codes -> the words of lib/mxfp4.

// A code at the place of column `column` of 8 in a word; negative zero becomes zero.
fn placed_code(code: u32, column: u32) -> u32 {
  if (code == 8) {
    return 0;
  }
  let pair = column / 2;
  return (((code & 7) << (9 - 3 * pair)) | ((code & 8) << (12 - pair))) << (16 * (column & 1));
}

// Eight codes, column 0 in the lowest nibble.
fn placed_codes(codes: u32) -> u32 {
  var word = 0u;
  for (var column = 0u; column < 8; column++) {
    word |= placed_code((codes >> (4 * column)) & 15, column);
  }
  return word;
}
