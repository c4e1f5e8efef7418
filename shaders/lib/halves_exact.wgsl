// lib/halves_native without subnormals on the way, which WGSL lets unpack2x16float flush to zero. Shifts are products where they
// can be: SwiftShader shifts the lanes of a vector one by one, but multiplies them together.
// import: f16

fn halves(bits: u32) -> vec2f {
  return vec2f(bitcast<f32>(f32_bits(bits)), bitcast<f32>(f32_bits(bits >> 16)));
}

fn e2m1_quad(word: u32, odd: u32) -> vec4f {
  // As f32's two lowest exponent bits and highest mantissa bit, in front of 2^-15, the codes are 2^-15 times 1, 1.5, 2, 3, 4,
  // 6, 8, 12 instead of 0, 1, 2, 3, 4, 6, 8, 12: twice the number less 2 is right for the first two, and not below the others.
  let w = select(word, word * 64, odd != 0);
  let s = select(word, word * 4, odd != 0);
  let codes = vec4u(w * 0x2000, w >> 3, w * 0x10000, w) & vec4u(0x01c00000);
  let near = bitcast<vec4f>(codes | vec4u(0x38000000));
  let magnitudes = bitcast<vec4u>(min(near, near + near - 0x1p-14f));
  let signs = vec4u(s * 0x10000, s, s * 0x20000, s + s) & vec4u(0x80000000);
  return bitcast<vec4f>(magnitudes | signs);
}

fn int8_quad(word: u32) -> vec4f {
  let high = vec4u(word * 0x1000000, word * 0x10000, word * 0x100, word) & vec4u(0xff000000);
  return vec4f(bitcast<vec4i>(high)) * 0x1p-24f;
}
