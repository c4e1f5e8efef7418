// Published rows of numbers -> groups of lib/dense_int8. In each group of 32 columns: scale = f16(max |x| / 127),
// int8 = round(127 x / max |x|), halves away from zero. The same numbers as ggml's Q8_0.
// Expects the binding `weights` and the override COLUMNS.
// import: rows, tile

// Writes 32 columns; returns the group's scale, as f16 bits.
fn repack_group(from_row: u32, row: u32, group: u32) -> u32 {
  let quad = (from_row * (COLUMNS / BLOCK_COLUMNS) + group) * 8;
  var m = vec4f();
  for (var i = 0u; i < 8; i++) {
    m = max(m, abs(bitcast<vec4f>(row_quad(quad + i))));
  }
  let largest = max(max(m.x, m.y), max(m.z, m.w));
  for (var i = 0u; i < 2; i++) {
    let first = quad + 4 * i;
    weights[tile_index(row, COLUMNS / 16, 2 * group + i)] = vec4u(
      quantize_quad(row_quad(first), largest), quantize_quad(row_quad(first + 1), largest),
      quantize_quad(row_quad(first + 2), largest), quantize_quad(row_quad(first + 3), largest),
    );
  }
  return f16_bits(largest / 127);
}

// Four columns -> four int8 in a u32.
fn quantize_quad(bits: vec4u, largest: f32) -> u32 {
  if (largest == 0) {
    return 0;
  }
  let x = bitcast<vec4f>(bits);
  // For bfloat16 and f16, 127 |x| / largest is a half, or at least 1/520000 of itself away from one. The 1/1000000 makes
  // halves round up despite an inexact division, and moves nothing else across. An f32 that close to a half rounds up too.
  let magnitude = floor(127 * abs(x) / largest * 1.000001 + 0.5);
  let q = vec4u(vec4i(sign(x) * magnitude)) & vec4u(0xff);
  return q.x | (q.y << 8) | (q.z << 16) | (q.w << 24);
}

// f32 -> f16 bits, to nearest, ties to even, subnormals kept: pack2x16float leaves the rounding to the GPU.
fn f16_bits(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  let exponent = i32(bits >> 23) - 127;
  if (exponent < -25) {
    return 0;
  }
  let mantissa = (bits & 0x7fffff) | 0x800000;
  // Bits of the mantissa to drop: 13, and one more for each power of two below the smallest normal f16.
  let drop = u32(13 + max(0, -14 - exponent));
  let kept = mantissa >> drop;
  let rest = mantissa & ((1u << drop) - 1);
  let half = 1u << (drop - 1);
  let rounded = kept + select(0u, 1u, rest > half || (rest == half && (kept & 1) == 1));
  // A carry out of the mantissa adds to the exponent, as it should.
  return min(rounded + u32(max(exponent + 14, 0)) * 1024, 0x7bff);
}
