// The norm of a row of lib/normed_rows. Expects the binding `h: array<vec4f>`, the overrides COLUMNS and EPSILON, and
// WORKGROUP_SIZE.
// import: normed_rows, reduce

// An invocation's share of a token's sum of squares. Early, so that it has arrived when it is needed.
fn square_share(token: u32, local: u32) -> f32 {
  var share = 0f;
  // From a constant to a constant, so that compilers unroll it, and do not wait for it here.
  for (var first = 0u; first < COLUMNS / (4 * SQUARES); first += WORKGROUP_SIZE) {
    let i = first + local;
    if (i < COLUMNS / (4 * SQUARES)) {
      share += dot(h[(token * normed_row(COLUMNS) + COLUMNS) / 4 + i], vec4f(1));
    }
  }
  return share;
}

// 1 / rms(x). Every invocation must call it, in uniform control flow.
fn inverse_rms(share: f32, local: u32) -> f32 {
  return inverseSqrt(workgroup_sum(share, local) / f32(COLUMNS) + EPSILON);
}
