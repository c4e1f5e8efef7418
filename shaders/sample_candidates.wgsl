// Second pass of sampling, unless the temperature is 0: finds the winner of each strip, and lists the likeliest tokens if
// there is a cut.
//
// A token's score is (logit - largest logit) / temperature + a Gumbel variate. The token with the highest score is a sample
// from softmax(logits / temperature), without adding it up; of some tokens, from their share of it.
//
// Grid: (strips).
// import: keep_best, random, sampling, step

override VOCABULARY: u32 = 201088;
override STRIPS: u32 = (VOCABULARY + STRIP - 1) / STRIP;

const WORKGROUP_SIZE = 64u;
const MAX_GROUPS = 128u;
const LEAST_GUMBEL = -2.9f; // -ln(-ln(1 - v)) of the largest v in lib/random.wgsl, and less

@group(0) @binding(0) var<uniform> sampling: Sampling;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read> logits: array<f32>;             // [VOCABULARY]
@group(0) @binding(3) var<storage, read_write> strips: array<Strip>;     // [STRIPS]
@group(0) @binding(4) var<storage, read_write> candidates: Candidates;

var<workgroup> reduced: array<vec3f, WORKGROUP_SIZE>;
var<workgroup> mass_high: atomic<u32>;
var<workgroup> mass_low: atomic<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn sample_candidates(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  if (sampling.temperature == 0) {
    return;
  }
  let is_cut = has_cut(VOCABULARY);
  let maxima = strip_maxima(is_cut, local);
  let largest = maxima.x;
  let begin = workgroup.x * STRIP + local;
  let end = min((workgroup.x + 1) * STRIP, VOCABULARY);
  if (is_cut) {
    let least_listed = -maxima.z;
    list_candidates(begin, end, largest, least_listed);
    if (workgroup.x == 0 && local == 0) {
      candidates.least = least_listed;
      candidates.largest = largest;
    }
  }

  var score = LOWEST;
  var winner = VOCABULARY;
  if (needs_winner()) {
    // Few tokens need their logarithms: the others cannot win against the likeliest of the strips.
    let scaled = largest / sampling.temperature;
    score = max(LEAST_GUMBEL, maxima.y - scaled - 1e-6 * abs(scaled));
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
    strips[workgroup.x].mass = Mass(atomicLoad(&mass_high), atomicLoad(&mass_low));
  }
}

// Lists the tokens whose logits are at least `least`, and adds up the probability of all if it is needed.
fn list_candidates(begin: u32, end: u32, largest: f32, least: f32) {
  let needs_mass = !has_top_k(VOCABULARY);
  var mass = Mass();
  for (var token = begin; token < end; token += WORKGROUP_SIZE) {
    let logit = logits[token];
    if (needs_mass && logit >= LOWEST) {
      mass = add_mass(mass, (logit - largest) / sampling.temperature);
    }
    if (logit >= least) {
      let place = atomicAdd(&candidates.count, 1);
      if (place < MAX_CANDIDATES) {
        candidates.tokens[place] = token;
      }
    }
  }
  if (needs_mass) {
    atomicAdd(&mass_high, mass.high);
    atomicAdd(&mass_low, mass.low);
  }
}

// Whether the last pass needs the token that wins without top_k and top_p: not if the candidates decide anyway.
fn needs_winner() -> bool {
  return !has_top_k(VOCABULARY) || sampling.top_k > MAX_GROUPS;
}

// The largest logit; what the highest score is not below, plus largest / temperature; and minus the least logit to list.
fn strip_maxima(is_cut: bool, local: u32) -> vec3f {
  var own = vec3f(LOWEST);
  for (var strip = local; strip < STRIPS; strip += WORKGROUP_SIZE) {
    let largest = largest_of(strips[strip].largest);
    own.x = max(own.x, largest);
    if (sampling.min_p == 0) { // otherwise it may be left out
      own.y = max(own.y, largest / sampling.temperature + strips[strip].gumbel);
    }
  }
  if (is_cut) {
    // As many groups of strips as top_k asks for tokens reach the least of their maxima: so many tokens are listed at least.
    let groups = select(MAX_GROUPS, min(sampling.top_k, MAX_GROUPS), sampling.top_k > 0);
    for (var group = local; group < min(groups, 4 * STRIPS); group += WORKGROUP_SIZE) {
      var largest = LOWEST;
      for (var i = group; i < 4 * STRIPS; i += groups) {
        largest = max(largest, strips[i % STRIPS].largest[i / STRIPS]);
      }
      own.z = max(own.z, -largest);
    }
  }
  reduced[local] = own;
  workgroupBarrier();
  if (local < 8) {
    for (var other = local + 8; other < WORKGROUP_SIZE; other += 8) {
      own = max(own, reduced[other]);
    }
    reduced[local] = own;
  }
  workgroupBarrier();
  for (var other = 0u; other < 8; other++) {
    own = max(own, reduced[other]);
  }
  return own;
}
