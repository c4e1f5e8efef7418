// Dense weights as published: a 16-byte vector holds 8 columns of one row in bfloat16.

const VECTOR_QUADS = 2u; // vec4f of columns in a vector
const VECTOR_UNIT = 1f;  // see lib/mxfp4

// The i-th vec4f of a vector.
fn quad_values(v: vec4u, i: u32) -> vec4f {
  let pairs = select(v.xy, v.zw, i == 1);
  return bitcast<vec4f>(vec4u(pairs.x << 16, pairs.x & 0xffff0000, pairs.y << 16, pairs.y & 0xffff0000));
}

fn vector_scale(tile: u32, vector: u32, row: u32) -> f32 {
  return 1;
}
