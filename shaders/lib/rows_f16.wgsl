// Published f16 rows. Expects the binding `rows: array<u32>`.
// import: f16

// f32 bits of the staged elements 4 quad .. 4 quad + 3.
fn row_quad(quad: u32) -> vec4u {
  let a = rows[2 * quad];
  let b = rows[2 * quad + 1];
  return vec4u(f32_bits(a), f32_bits(a >> 16), f32_bits(b), f32_bits(b >> 16));
}
