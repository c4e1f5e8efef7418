// Sums the shares of a workgroup's invocations in pairs of rows: invocation i has a share of pair i % PAIRS.
// Neighbouring invocations have neighbouring rows. Expects PAIRS, and WORKGROUP_SIZE, a multiple of it.

var<workgroup> partials: array<vec2f, WORKGROUP_SIZE>;

// The sums of their pair for the first PAIRS invocations; their own share for the others. Every invocation must call it,
// in uniform control flow, with a workgroupBarrier() before the next call.
fn join_splits(shares: vec2f, local: u32) -> vec2f {
  partials[local] = shares;
  workgroupBarrier();
  var sums = shares;
  if (local < PAIRS) {
    // From a constant to a constant, so that compilers unroll it, and do not wait for each share.
    for (var other = PAIRS; other < WORKGROUP_SIZE; other += PAIRS) {
      sums += partials[other + local % PAIRS];
    }
  }
  return sums;
}
