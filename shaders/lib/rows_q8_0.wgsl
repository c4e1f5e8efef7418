// Published rows in ggml's Q8_0: blocks of 32 elements in 34 bytes, an f16 scale and 32 int8; value = int8 * scale.
// https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h (block_q8_0). Needs lib/bytes, lib/f16.

// f32 bits of the staged elements 4 quad .. 4 quad + 3; f32 holds the products exactly.
fn row_quad(quad: u32) -> vec4u {
  let block = quad / 8 * 34;
  let scale = bitcast<f32>(f32_bits(row_word(block)));
  return bitcast<vec4u>(scale * vec4f(unpack4xI8(row_word(block + 2 + 4 * (quad % 8)))));
}
