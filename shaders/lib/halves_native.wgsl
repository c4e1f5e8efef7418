// Two f16 of a u32 -> f32, by the GPU's own conversion. Only for devices that keep subnormals (kernels/half-probe.ts).

fn halves(bits: u32) -> vec2f {
  return unpack2x16float(bits);
}
