// Rotary position embedding, half-split: dimensions i and i + 32 turn by one angle.
// The table holds, for each position, 8 quads of cosines and then 8 of sines, the YaRN attention factor included.

const HEAD_QUADS = 16u; // a head is 64 dimensions
const HALF_QUADS = 8u;

struct Halves {
  low: vec4f,
  high: vec4f,
}

fn rotate(h: Halves, position: u32, quad: u32) -> Halves {
  let c = rope_table[position * HEAD_QUADS + quad];
  let s = rope_table[position * HEAD_QUADS + HALF_QUADS + quad];
  return Halves(h.low * c - h.high * s, h.high * c + h.low * s);
}
