// Staged rows of bytes whose blocks begin at any byte. Expects the binding `rows: array<u32>`.

// The 4 bytes from byte `at` on; arbitrary ones beyond the staged rows.
fn row_word(at: u32) -> u32 {
  let shift = 8 * (at & 3);
  let low = rows[at / 4];
  if (shift == 0) {
    return low;
  }
  return (low >> shift) | (rows[at / 4 + 1] << (32 - shift));
}
