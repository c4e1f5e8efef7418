// What becomes of e2m1 codes at load.

// Eight codes in each u32, with negative zeros made zeros.
fn without_negative_zeros(codes: vec4u) -> vec4u {
  let nonzero = (codes | (codes >> vec4u(1)) | (codes >> vec4u(2))) & vec4u(0x11111111);
  return codes & (vec4u(0x77777777) | (nonzero << vec4u(3)));
}
