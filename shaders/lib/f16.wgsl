// f16 to f32 by integers: unpack2x16float may take subnormals for zero.

// The f32 bits of four f16, given as their bits; exact, infinities and NaN included.
fn f32_bits(halves: vec4u) -> vec4u {
  let sign = (halves & vec4u(0x8000)) << vec4u(16);
  let magnitude = halves & vec4u(0x7fff);
  let normal = (magnitude << vec4u(13)) + vec4u((127 - 15) << 23);
  let subnormal = bitcast<vec4u>(vec4f(magnitude) * 0x1p-24f);
  let special = (magnitude << vec4u(13)) | vec4u(0x7f800000);
  return sign | select(select(normal, special, magnitude >= vec4u(0x7c00)), subnormal, magnitude < vec4u(0x400));
}
