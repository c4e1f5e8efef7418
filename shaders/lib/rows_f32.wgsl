// Published f32 rows. Expects the binding `rows: array<u32>`.

// f32 bits of the staged elements 4 quad .. 4 quad + 3.
fn row_quad(quad: u32) -> vec4u {
  return vec4u(rows[4 * quad], rows[4 * quad + 1], rows[4 * quad + 2], rows[4 * quad + 3]);
}
