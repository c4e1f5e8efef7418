// Published bfloat16 rows. Expects the binding `rows: array<u32>`.

// f32 bits of the staged elements 4 quad .. 4 quad + 3.
fn row_quad(quad: u32) -> vec4u {
  let a = rows[2 * quad];
  let b = rows[2 * quad + 1];
  return vec4u(a << 16, a & 0xffff0000, b << 16, b & 0xffff0000);
}
