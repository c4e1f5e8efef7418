// Workgroup-wide sum. Every invocation must call it, in uniform control flow. Expects WORKGROUP_SIZE, a multiple of 16.

var<workgroup> reduce_values: array<f32, WORKGROUP_SIZE>;
var<workgroup> reduce_partials: array<f32, 16>;

// In two levels, so that there are two barriers; the next call may follow at once.
fn workgroup_sum(value: f32, local: u32) -> f32 {
  reduce_values[local] = value;
  workgroupBarrier();
  if (local < 16) {
    var partial = 0f;
    for (var i = 0u; i < WORKGROUP_SIZE; i += 16) {
      partial += reduce_values[i + local];
    }
    reduce_partials[local] = partial;
  }
  workgroupBarrier();
  var sum = 0f;
  for (var i = 0u; i < 16; i++) {
    sum += reduce_partials[i];
  }
  return sum;
}
