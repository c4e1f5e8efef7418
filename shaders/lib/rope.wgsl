// Rotary position embedding, half-split: dimensions i and i + 32 turn by one angle.
// For each position, the binding `rope_table` holds 8 quads of cosines and then 8 of sines, YaRN's attention factor included.
// import: head

const HALF_QUADS = HEAD_QUADS / 2;

struct Halves {
  low: vec4f,
  high: vec4f,
}

fn rotate(h: Halves, position: u32, quad: u32) -> Halves {
  let c = rope_table[position * HEAD_QUADS + quad];
  let s = rope_table[position * HEAD_QUADS + HALF_QUADS + quad];
  return Halves(h.low * c - h.high * s, h.high * c + h.low * s);
}
