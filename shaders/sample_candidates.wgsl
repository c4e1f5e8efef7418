// Second pass of sampling, unless the temperature is 0: lists the tokens from which the last pass chooses.
//
// A token's score is (logit - largest logit) / temperature + a Gumbel variate. The token with the highest score is a sample
// from softmax(logits / temperature), without adding it up; of some tokens, from their share of it.
//
// Grid: (strips).
// import: least_candidate, logit_batch, random, sampling, step

override VOCABULARY: u32 = 201088;

const WORKGROUP_SIZE = STRIP_INVOCATIONS;
const LEAST_GUMBEL = -2.9f; // -ln(-ln(1 - v)) of the largest v in lib/random.wgsl, and less

@group(0) @binding(0) var<uniform> sampling: Sampling;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read> logits: array<f32>;             // [VOCABULARY]
@group(0) @binding(3) var<storage, read> groups: array<vec4u>;           // [MAX_GROUPS / 4]
@group(0) @binding(4) var<storage, read_write> strips: array<Strip>;     // [strips]
@group(0) @binding(5) var<storage, read_write> found: Found;

@compute @workgroup_size(WORKGROUP_SIZE)
fn sample_candidates(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  if (sampling.temperature == 0) {
    return;
  }
  let largest = key_value(atomicLoad(&found.largest));
  let strip = workgroup.x * STRIP + local;
  if (has_cut(VOCABULARY)) {
    list_candidates(strip);
    if (!has_top_k(VOCABULARY)) {
      strips[workgroup.x].masses[local] = mass(strip, largest);
    }
  }
  if (needs_contenders(VOCABULARY)) {
    list_contender(strip, largest);
  }
}

fn list_candidates(strip: u32) {
  let least = least_candidate();
  for (var first = strip; first < strip + STRIP; first += BATCH * WORKGROUP_SIZE) {
    let batch = logit_batch(first);
    for (var i = 0u; i < BATCH; i++) {
      if (batch[i] >= least) {
        let place = atomicAdd(&found.candidate_count, 1);
        if (place < MAX_CANDIDATES) {
          found.candidates[place] = first + i * WORKGROUP_SIZE;
        }
      }
    }
  }
}

fn mass(strip: u32, largest: f32) -> f32 {
  var sum = 0f;
  for (var first = strip; first < strip + STRIP; first += BATCH * WORKGROUP_SIZE) {
    let batch = logit_batch(first);
    for (var i = 0u; i < BATCH; i++) {
      sum += select(0, exp((batch[i] - largest) / sampling.temperature), batch[i] >= LOWEST);
    }
  }
  return sum;
}

// Lists the invocation's token with the highest score, if it may win.
fn list_contender(strip: u32, largest: f32) {
  // Few tokens need their logarithms: the others cannot win against the likeliest token of each strip.
  var best = LEAST_GUMBEL;
  if (sampling.min_p == 0) { // otherwise it may exclude those
    let scaled = largest / sampling.temperature;
    // Less what rounding may have added.
    best = max(best, key_value(atomicLoad(&found.bound)) - scaled - 1e-6 * abs(scaled) - 1e-5);
  }
  var contender = VOCABULARY;
  let least = min_p_logit(largest);
  let hash = step_hash(step.position + step.tokens);
  for (var first = strip; first < strip + STRIP; first += BATCH * WORKGROUP_SIZE) {
    let batch = logit_batch(first);
    for (var i = 0u; i < BATCH; i++) {
      let token = first + i * WORKGROUP_SIZE;
      let x = (batch[i] - largest) / sampling.temperature;
      if (batch[i] >= least && x + gumbel_bound(hash, token) >= best) {
        let score = x + gumbel(hash, token);
        if (score > best) {
          best = score;
          contender = token;
        }
      }
    }
  }
  if (contender < VOCABULARY) {
    found.contenders[atomicAdd(&found.contender_count, 1)] = contender;
  }
}
