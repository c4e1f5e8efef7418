// lib/halves_native without subnormals on the way, which WGSL lets unpack2x16float flush to zero.
// import: f16

fn halves(bits: u32) -> vec2f {
  return vec2f(bitcast<f32>(f32_bits(bits)), bitcast<f32>(f32_bits(bits >> 16)));
}

fn e2m1_pair(word: u32, pair: u32) -> vec2f {
  // As f32's two lowest exponent bits and highest mantissa bit, in front of 2^-15, the codes are 2^-15 times 1, 1.5, 2, 3, 4,
  // 6, 8, 12 instead of 0, 1, 2, 3, 4, 6, 8, 12: twice the number less 2 is right for the first two, and not below the others.
  let high = select(word << (3 * pair - 3), word >> 3, pair == 0);
  let codes = vec2u(word << (3 * pair + 13), high) & vec2u(0x01c00000);
  let near = bitcast<vec2f>(codes | vec2u(0x38000000));
  let magnitudes = bitcast<vec2u>(min(near, 2 * near - 0x1p-14f));
  let signs = vec2u(word << (pair + 16), word << pair) & vec2u(0x80000000);
  return bitcast<vec2f>(magnitudes | signs);
}
