// Second pass of sampling, unless the temperature is 0: finds the winner of each strip, and lists the likeliest tokens if
// there is a cut.
//
// A token's score is (logit - largest logit) / temperature + a Gumbel variate. The token with the highest score is a sample
// from softmax(logits / temperature), without adding it up; of some tokens, from their share of it.
//
// Grid: (strips).
// import: keep_best, listed, random, sampling, step

override VOCABULARY: u32 = 201088;

const WORKGROUP_SIZE = 64u;
const LEAST_GUMBEL = -2.9f; // -ln(-ln(1 - v)) of the largest v in lib/random.wgsl, and less

@group(0) @binding(0) var<uniform> sampling: Sampling;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read> logits: array<f32>;             // [VOCABULARY]
@group(0) @binding(3) var<storage, read_write> strips: array<Strip>;     // [strips]
@group(0) @binding(4) var<storage, read_write> candidates: Candidates;

var<workgroup> masses: array<f32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn sample_candidates(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  if (sampling.temperature == 0) {
    return;
  }
  let largest = key_value(atomicLoad(&candidates.largest));
  let begin = workgroup.x * STRIP + local;
  let end = min((workgroup.x + 1) * STRIP, VOCABULARY);
  if (has_cut(VOCABULARY)) {
    masses[local] = list_candidates(begin, end, largest);
  }

  var score = LOWEST;
  var winner = VOCABULARY;
  if (needs_winner()) {
    // Few tokens need their logarithms: the others cannot win against the likeliest of the strips.
    score = LEAST_GUMBEL;
    if (sampling.min_p == 0) { // otherwise it may leave them out
      let scaled = largest / sampling.temperature;
      score = max(score, key_value(atomicLoad(&candidates.bound)) - scaled - 1e-6 * abs(scaled));
    }
    let least = min_p_logit(largest);
    let hash = step_hash(step.position + step.tokens);
    for (var token = begin; token < end; token += WORKGROUP_SIZE) {
      let x = (logits[token] - largest) / sampling.temperature;
      if (logits[token] >= least && x + gumbel_bound(hash, token) >= score) {
        let own = x + gumbel(hash, token);
        if (own > score) {
          score = own;
          winner = token;
        }
      }
    }
  }
  keep_best(select(LOWEST, score, winner < VOCABULARY), winner, local);
  if (local == 0) {
    strips[workgroup.x].score = best_scores[0];
    strips[workgroup.x].winner = best_tokens[0];
    var mass = 0f;
    for (var i = 0u; i < WORKGROUP_SIZE; i++) {
      mass += masses[i];
    }
    strips[workgroup.x].mass = mass;
  }
}

// Lists the likeliest tokens. The probability of all, times a constant, if top_p needs it.
fn list_candidates(begin: u32, end: u32, largest: f32) -> f32 {
  let least = least_listed();
  let needs_mass = !has_top_k(VOCABULARY);
  var mass = 0f;
  for (var token = begin; token < end; token += WORKGROUP_SIZE) {
    let logit = logits[token];
    if (needs_mass && logit >= LOWEST) {
      mass += exp((logit - largest) / sampling.temperature);
    }
    if (logit >= least) {
      let place = atomicAdd(&candidates.count, 1);
      if (place < MAX_CANDIDATES) {
        candidates.tokens[place] = token;
      }
    }
  }
  return mass;
}

// Whether the last pass needs the token that wins without top_k and top_p: not if the candidates decide anyway.
fn needs_winner() -> bool {
  return !has_top_k(VOCABULARY) || sampling.top_k > MAX_GROUPS;
}
