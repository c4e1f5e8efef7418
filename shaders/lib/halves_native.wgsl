// f16 -> f32 by the GPU's own conversion. Only for devices that keep subnormals (packages/core/src/kernels/halves.ts).

// The two f16 of a u32.
fn halves(bits: u32) -> vec2f {
  return unpack2x16float(bits);
}

// Pairs 0 and 1 or, if `odd` is 1, 2 and 3 of 4 in a word of lib/mxfp4, times 2^-14.
fn e2m1_quad(word: u32, odd: u32) -> vec4f {
  return vec4f(e2m1_pair(word, 2 * odd), e2m1_pair(word, 2 * odd + 1));
}

// A code's three low bits, as f16's two lowest exponent bits and its highest mantissa bit, are just that; code 1 is subnormal.
fn e2m1_pair(word: u32, pair: u32) -> vec2f {
  return unpack2x16float(((word << (3 * pair)) & 0x0e000e00) | ((word << pair) & 0x80008000));
}

// Four int8.
fn int8_quad(word: u32) -> vec4f {
  return vec4f(unpack4xI8(word));
}
