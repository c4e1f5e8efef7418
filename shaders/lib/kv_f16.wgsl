// Keys and values are stored as f16, four to an element. Arithmetic stays f32.

alias KvQuad = vec2u;

fn kv_pack(values: vec4f) -> KvQuad {
  return vec2u(pack2x16float(values.xy), pack2x16float(values.zw));
}

fn kv_unpack(quad: KvQuad) -> vec4f {
  return vec4f(unpack2x16float(quad.x), unpack2x16float(quad.y));
}
