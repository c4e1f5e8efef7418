// e2m1 codes as published -> as lib/mxfp4 reads them.

// Eight codes in each u32, negative zeros replaced by zeros.
fn without_negative_zeros(codes: vec4u) -> vec4u {
  let nonzero = (codes | (codes >> vec4u(1)) | (codes >> vec4u(2))) & vec4u(0x11111111);
  return codes & (vec4u(0x77777777) | (nonzero << vec4u(3)));
}
