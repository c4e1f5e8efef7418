// Keys and values are stored as f16, four to an element. Arithmetic stays f32.

alias KvQuad = vec2u;

const LARGEST = 65504f; // beyond it, the result of pack2x16float is indeterminate

fn kv_pack(values: vec4f) -> KvQuad {
  let v = clamp(values, vec4f(-LARGEST), vec4f(LARGEST));
  return vec2u(pack2x16float(v.xy), pack2x16float(v.zw));
}

fn kv_unpack(quad: KvQuad) -> vec4f {
  return vec4f(unpack2x16float(quad.x), unpack2x16float(quad.y));
}
