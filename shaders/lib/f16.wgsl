// f16 to f32 by integers: unpack2x16float may flush subnormals to zero.

// The f32 bits of one f16, given as its bits in the low half of a u32; exact, infinities and NaN included.
fn f32_bits(half: u32) -> u32 {
  let sign = (half & 0x8000) << 16;
  let magnitude = half & 0x7fff;
  let normal = (magnitude << 13) + ((127 - 15) << 23);
  let subnormal = bitcast<u32>(f32(magnitude) * 0x1p-24f);
  let special = (magnitude << 13) | 0x7f800000;
  return sign | select(select(normal, special, magnitude >= 0x7c00), subnormal, magnitude < 0x400);
}
