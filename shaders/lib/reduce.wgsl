// Workgroup-wide sum. Every invocation must call it, in uniform control flow. Expects WORKGROUP_SIZE, a power of two.

var<workgroup> reduce_partials: array<f32, WORKGROUP_SIZE>;

fn workgroup_sum(value: f32, local: u32) -> f32 {
  reduce_partials[local] = value;
  workgroupBarrier();
  for (var stride = WORKGROUP_SIZE / 2; stride > 0; stride /= 2) {
    if (local < stride) {
      reduce_partials[local] += reduce_partials[local + stride];
    }
    workgroupBarrier();
  }
  let sum = reduce_partials[0];
  workgroupBarrier(); // before the next call writes
  return sum;
}
