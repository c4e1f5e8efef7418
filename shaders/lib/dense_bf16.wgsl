// Dense weights as published: a 16-byte vector holds 8 columns of one row in bfloat16.

const VECTOR_QUADS = 2u; // vec4f of columns in a vector

fn vector_values(v: vec4u) -> array<vec4f, VECTOR_QUADS> {
  return array(
    bitcast<vec4f>(vec4u(v.x << 16, v.x & 0xffff0000, v.y << 16, v.y & 0xffff0000)),
    bitcast<vec4f>(vec4u(v.z << 16, v.z & 0xffff0000, v.w << 16, v.w & 0xffff0000)),
  );
}

// One vec4f of `vector_values`.
fn quad_values(v: vec4u, quad: u32) -> vec4f {
  let pairs = select(v.xy, v.zw, quad == 1);
  return bitcast<vec4f>(vec4u(pairs.x << 16, pairs.x & 0xffff0000, pairs.y << 16, pairs.y & 0xffff0000));
}

fn vector_scale(tile: u32, vector: u32, row: u32) -> f32 {
  return 1;
}
