// Divides a workgroup over WORKGROUP_ROWS rows and SPLITS splits of their columns, and sums the shares of the splits.
// Neighbouring invocations have neighbouring rows. Expects the constant WORKGROUP_ROWS, the override SPLITS, and a
// workgroup of WORKGROUP_ROWS * SPLITS invocations.

var<workgroup> partials: array<f32, WORKGROUP_ROWS * SPLITS>;

fn workgroup_row(local: u32) -> u32 {
  return local % WORKGROUP_ROWS;
}
fn column_split(local: u32) -> u32 {
  return local / WORKGROUP_ROWS;
}

// The sum of all splits of a row for the invocation of its split 0; their own share for the others. Every invocation
// must call it, in uniform control flow, with a workgroupBarrier() before the next call.
fn join_splits(partial: f32, local: u32) -> f32 {
  partials[local] = partial;
  workgroupBarrier();
  let row = local % WORKGROUP_ROWS; // `%` lets compilers prove that it is in bounds
  var sum = partial;
  if (local < WORKGROUP_ROWS) {
    for (var s = 1u; s < SPLITS; s++) {
      sum += partials[s * WORKGROUP_ROWS + row];
    }
  }
  return sum;
}
