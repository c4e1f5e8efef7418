// Keys and values are stored in 8 bits: four 7-bit integers to a u32, with 4 bits for the power of two that scales them.
// A scale of neighbours only, so that whoever appends them needs no other invocation, and no other buffer.
// Arithmetic stays f32.

alias KvQuad = u32;

const MOST = 63f; // of an integer, on either side of 0
const SCALE_EXPONENT = 116u; // of the least scale, 2^-11, as f32 has it; the largest is 2^4

fn kv_pack(values: vec4f) -> KvQuad {
  let magnitudes = abs(values);
  let largest = max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
  // The largest becomes 32 to 63. A little more of it is taken, as it must not be rounded up to 64.
  let exponent = bitcast<u32>(largest * (64 / 63.5)) >> 23;
  let power = clamp(i32(exponent) - i32(SCALE_EXPONENT + 5), 0, 15);
  let inverse = bitcast<f32>((254 - SCALE_EXPONENT - u32(power)) << 23);
  let n = vec4u(vec4i(clamp(round(values * inverse), vec4f(-MOST), vec4f(MOST)))) & vec4u(127);
  return n.x | (n.y << 7) | (n.z << 14) | (n.w << 21) | (u32(power) << 28);
}

fn kv_unpack(quad: KvQuad) -> vec4f {
  let n = bitcast<i32>(quad);
  let integers = vec4i(extractBits(n, 0, 7), extractBits(n, 7, 7), extractBits(n, 14, 7), extractBits(n, 21, 7));
  return vec4f(integers) * bitcast<f32>(((quad >> 28) + SCALE_EXPONENT) << 23);
}
