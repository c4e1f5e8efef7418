// The likeliest of all invocations' candidates. Expects WORKGROUP_SIZE, a multiple of four.

var<workgroup> best_scores: array<f32, WORKGROUP_SIZE>;
var<workgroup> best_tokens: array<u32, WORKGROUP_SIZE>;

// Leaves the best pair of all invocations in element 0, seen by invocation 0: the highest score, the lowest token among equals.
fn keep_best(score: f32, token: u32, local: u32) {
  keep_best_of_four(score, token, local);
  keep_best_of_all(local);
}

// Leaves the best of each fourth invocation in elements 0 to 3, seen by invocations 0 to 3.
fn keep_best_of_four(score: f32, token: u32, local: u32) {
  best_scores[local] = score;
  best_tokens[local] = token;
  workgroupBarrier();
  if (local < 4) {
    keep_better(local, WORKGROUP_SIZE, 4);
  }
}

fn keep_best_of_all(local: u32) {
  workgroupBarrier();
  if (local == 0) {
    keep_better(0, 4, 1);
  }
}

// Leaves in element `to` the best of every `stride`th up to `end`.
fn keep_better(to: u32, end: u32, stride: u32) {
  var score = best_scores[to];
  var token = best_tokens[to];
  for (var other = to + stride; other < end; other += stride) {
    if (is_better(best_scores[other], best_tokens[other], score, token)) {
      score = best_scores[other];
      token = best_tokens[other];
    }
  }
  best_scores[to] = score;
  best_tokens[to] = token;
}

fn is_better(score: f32, token: u32, than_score: f32, than_token: u32) -> bool {
  return score > than_score || (score == than_score && token < than_token);
}
