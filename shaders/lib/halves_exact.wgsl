// Two f16 of a u32 -> f32, by integers: WGSL lets unpack2x16float flush subnormals to zero.
// import: f16

fn halves(bits: u32) -> vec2f {
  return vec2f(bitcast<f32>(f32_bits(bits)), bitcast<f32>(f32_bits(bits >> 16)));
}
