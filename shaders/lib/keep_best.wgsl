// The likeliest of all invocations' candidates. Expects WORKGROUP_SIZE, a power of four.

var<workgroup> best_scores: array<f32, WORKGROUP_SIZE>;
var<workgroup> best_tokens: array<u32, WORKGROUP_SIZE>;

// Leaves the best pair of all invocations in element 0: the highest score, the lowest token among equals.
fn keep_best(score: f32, token: u32, local: u32) {
  best_scores[local] = score;
  best_tokens[local] = token;
  workgroupBarrier();
  for (var stride = WORKGROUP_SIZE / 4; stride > 0; stride /= 4) {
    if (local < stride) {
      var best_score = best_scores[local];
      var best_token = best_tokens[local];
      for (var other = local + stride; other < 4 * stride; other += stride) {
        if (is_better(best_scores[other], best_tokens[other], best_score, best_token)) {
          best_score = best_scores[other];
          best_token = best_tokens[other];
        }
      }
      best_scores[local] = best_score;
      best_tokens[local] = best_token;
    }
    workgroupBarrier();
  }
}

fn is_better(score: f32, token: u32, than_score: f32, than_token: u32) -> bool {
  return score > than_score || (score == than_score && token < than_token);
}
