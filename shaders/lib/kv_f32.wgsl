// Keys and values are stored as f32, four to an element.

alias KvQuad = vec4f;

fn kv_pack(values: vec4f) -> KvQuad {
  return values;
}

fn kv_unpack(quad: KvQuad) -> vec4f {
  return quad;
}
