// What becomes of e2m1 codes at load.

// Eight codes in a u32, with negative zeros made zeros.
fn without_negative_zeros(codes: u32) -> u32 {
  let nonzero = (codes | (codes >> 1) | (codes >> 2)) & 0x11111111;
  return codes & (0x77777777 | (nonzero << 3));
}
