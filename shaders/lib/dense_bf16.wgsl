// Dense weights as published: a 16-byte vector holds 8 columns of one row in bfloat16.

const VECTOR_QUADS = 2u; // vec4f of columns in a vector
const VECTOR_UNIT = 1f;  // see lib/mxfp4

fn vector_values(v: vec4u) -> array<vec4f, VECTOR_QUADS> {
  return array(
    bitcast<vec4f>(vec4u(v.x << 16, v.x & 0xffff0000, v.y << 16, v.y & 0xffff0000)),
    bitcast<vec4f>(vec4u(v.z << 16, v.z & 0xffff0000, v.w << 16, v.w & 0xffff0000)),
  );
}

fn vector_scale(tile: u32, vector: u32, row: u32) -> f32 {
  return 1;
}
