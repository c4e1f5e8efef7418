// Published rows in ggml's Q8_0.
// import: bytes, f16, q8_0

// f32 bits of the staged elements 4 quad .. 4 quad + 3; f32 holds the products exactly.
fn row_quad(quad: u32) -> vec4u {
  let block = quad / 8 * Q8_0_BYTES;
  let scale = bitcast<f32>(f32_bits(row_word(block)));
  return bitcast<vec4u>(scale * vec4f(unpack4xI8(row_word(block + 2 + 4 * (quad % 8)))));
}
