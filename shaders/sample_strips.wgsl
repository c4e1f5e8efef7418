// First pass of sampling: applies penalties, biases and the mask to the logits, and finds the largest of each strip and
// group.
//
// Grid: (strips).
// import: keep_best, logit_batch, random, sampling, step

override VOCABULARY: u32 = 201088;

const WORKGROUP_SIZE = STRIP_INVOCATIONS;

@group(0) @binding(0) var<uniform> sampling: Sampling;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read> adjustments: array<Adjustment>; // [VOCABULARY]
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;       // [VOCABULARY]
@group(0) @binding(4) var<storage, read_write> strips: array<Strip>;     // [strips]
@group(0) @binding(5) var<storage, read_write> found: Found;
@group(0) @binding(6) var<storage, read_write> groups: array<atomic<u32>>; // [MAX_GROUPS], the key of each one's largest logit

@group(0) @binding(7) var<storage, read> mask: array<u32>;               // a bit for each token that may be chosen

@compute @workgroup_size(WORKGROUP_SIZE)
fn sample_strips(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let strip = workgroup.x * STRIP;
  var best = LOWEST;
  var best_token = VOCABULARY;
  for (var first = strip; first < strip + STRIP; first += BATCH * WORKGROUP_SIZE) {
    var batch = logit_batch(first + local);
    for (var i = 0u; i < BATCH; i++) {
      let token = first + local + i * WORKGROUP_SIZE;
      if (sampling.adjusts != 0 && token < VOCABULARY) {
        batch[i] = adjust(batch[i], token);
      }
    }
    if (sampling.masked != 0) {
      batch = masked(batch, first + local);
    }
    for (var i = 0u; i < BATCH; i++) {
      let token = first + local + i * WORKGROUP_SIZE;
      if (batch[i] > best) {
        best = batch[i];
        best_token = token;
      }
    }
  }
  if (sampling.temperature > 0) {
    strips[workgroup.x].parts[local] = best;
  }
  keep_best_of_four(best, best_token, local);
  if (local < 4 && sampling.temperature > 0) {
    let group = (workgroup.x * 4 + local) % group_count();
    atomicMax(&groups[group], order_key(best_scores[local]));
  }
  keep_best_of_all(local);
  if (local == 0) {
    strips[workgroup.x].largest = best_scores[0];
    strips[workgroup.x].likeliest = best_tokens[0];
    if (sampling.temperature > 0) {
      let hash = step_hash(step.position + step.tokens);
      let score = best_scores[0] / sampling.temperature + gumbel(hash, best_tokens[0]);
      atomicMax(&found.largest, order_key(best_scores[0]));
      atomicMax(&found.bound, order_key(score));
    }
  }
}

// A batch without the tokens that may not be chosen, for the other passes, too.
fn masked(batch: array<f32, BATCH>, first: u32) -> array<f32, BATCH> {
  var kept = batch;
  var words: array<u32, BATCH>;
  for (var i = 0u; i < BATCH; i++) {
    words[i] = mask[min(first + i * WORKGROUP_SIZE, VOCABULARY - 1) / 32];
  }
  for (var i = 0u; i < BATCH; i++) {
    let token = first + i * WORKGROUP_SIZE;
    if (((words[i] >> (token % 32)) & 1) == 0 && token < VOCABULARY) {
      kept[i] = NO_LOGIT;
      logits[token] = NO_LOGIT;
    }
  }
  return kept;
}

// The logit as the other passes read it.
fn adjust(logit: f32, token: u32) -> f32 {
  let adjustment = adjustments[token];
  var adjusted = logit;
  if (adjustment.occurrences > 0) {
    adjusted = select(logit * sampling.repetition_penalty, logit / sampling.repetition_penalty, logit > 0);
    let count = f32(adjustment.occurrences >> 1);
    adjusted -= sampling.presence_penalty * min(count, 1) + sampling.frequency_penalty * count;
  }
  adjusted = select(adjusted + adjustment.bias, NO_LOGIT, adjustment.bias <= -100);
  logits[token] = adjusted;
  return adjusted;
}
