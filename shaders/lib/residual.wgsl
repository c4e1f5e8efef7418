// Adds WORKGROUP_ROWS rows to the residual stream, and prepares them for the next norm (lib/normed_rows).
// Expects WORKGROUP_ROWS, the override ROWS, and the bindings `x`, `scale` and `h`, arrays of f32.
// import: normed_rows

var<workgroup> squares: array<f32, WORKGROUP_ROWS>;

// x[token, row] += value; `row` is the row `index` of the workgroup.
fn add_row(token: u32, row: u32, index: u32, value: f32) {
  let sum = x[token * ROWS + row] + value;
  x[token * ROWS + row] = sum;
  h[token * normed_row(ROWS) + row] = sum * scale[row];
  squares[index] = sum * sum;
}

// After add_row of all rows from `first_row` on. Every invocation must call it, in uniform control flow.
fn add_squares(token: u32, first_row: u32, local: u32) {
  workgroupBarrier();
  if (local < WORKGROUP_ROWS / SQUARES) {
    var sum = 0f;
    for (var i = 0u; i < SQUARES; i++) {
      sum += squares[local % (WORKGROUP_ROWS / SQUARES) * SQUARES + i];
    }
    h[token * normed_row(ROWS) + ROWS + first_row / SQUARES + local] = sum;
  }
}
