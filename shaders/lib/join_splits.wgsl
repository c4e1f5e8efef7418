// Sums the shares of the splits of a row's columns. Every PAIRS * SPLITS invocations of a workgroup share PAIRS pairs of rows:
// neighbours have neighbouring rows. Expects PAIRS, SPLITS, and WORKGROUP_SIZE, a multiple of their product.

var<workgroup> partials: array<vec2f, WORKGROUP_SIZE>;

// The sums of a pair for the first PAIRS of the invocations that share it; their own share for the others. Every invocation
// must call it, in uniform control flow, with a workgroupBarrier() before the next call.
fn join_splits(shares: vec2f, local: u32) -> vec2f {
  partials[local] = shares;
  workgroupBarrier();
  var sums = shares;
  if (local % (PAIRS * SPLITS) < PAIRS) {
    // From a constant to a constant, so that compilers unroll it, and do not wait for each share.
    for (var other = PAIRS; other < PAIRS * SPLITS; other += PAIRS) {
      sums += partials[local + other];
    }
  }
  return sums;
}
