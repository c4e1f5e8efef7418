// The likeliest of all invocations' candidates. Expects WORKGROUP_SIZE, a power of two.

var<workgroup> best_scores: array<f32, WORKGROUP_SIZE>;
var<workgroup> best_tokens: array<u32, WORKGROUP_SIZE>;

// Leaves the best pair of all invocations in element 0: the highest score, the lowest token among equals.
fn keep_best(score: f32, token: u32, local: u32) {
  best_scores[local] = score;
  best_tokens[local] = token;
  workgroupBarrier();
  for (var stride = WORKGROUP_SIZE / 2; stride > 0; stride /= 2) {
    if (local < stride) {
      let other = local + stride;
      if (best_scores[other] > best_scores[local] ||
          (best_scores[other] == best_scores[local] && best_tokens[other] < best_tokens[local])) {
        best_scores[local] = best_scores[other];
        best_tokens[local] = best_tokens[other];
      }
    }
    workgroupBarrier();
  }
}
