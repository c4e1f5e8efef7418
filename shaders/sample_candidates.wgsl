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

@group(0) @binding(0) var<uniform> sampling: Sampling;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read> logits: array<f32>;             // [VOCABULARY]
@group(0) @binding(3) var<storage, read_write> strips: array<Strip>;     // [STRIPS]
@group(0) @binding(4) var<storage, read_write> candidates: Candidates;

var<workgroup> strip_logits: array<f32, STRIPS>;
var<workgroup> strip_gumbels: array<f32, STRIPS>;
var<workgroup> least_listed: f32;
var<workgroup> mass_high: atomic<u32>;
var<workgroup> mass_low: atomic<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn sample_candidates(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  if (sampling.temperature == 0) {
    return;
  }
  let hash = step_hash(step.position + step.tokens);
  for (var strip = local; strip < STRIPS; strip += WORKGROUP_SIZE) {
    strip_logits[strip] = strips[strip].largest;
    strip_gumbels[strip] = gumbel(hash, strips[strip].likeliest);
  }
  workgroupBarrier();
  var largest = LOWEST;
  for (var strip = 0u; strip < STRIPS; strip++) {
    largest = max(largest, strip_logits[strip]);
  }
  // The likeliest tokens of the strips bound the highest score from below: few tokens need their logarithms.
  let least = min_p_logit(largest);
  var best = LOWEST;
  for (var strip = 0u; strip < STRIPS; strip++) {
    if (strip_logits[strip] >= least) {
      best = max(best, (strip_logits[strip] - largest) / sampling.temperature + strip_gumbels[strip]);
    }
  }
  let is_cut = has_cut(VOCABULARY);
  if (is_cut) {
    find_least_listed(local);
    if (workgroup.x == 0 && local == 0) {
      candidates.least = least_listed;
      candidates.largest = largest;
    }
  }

  let needs_mass = is_cut && !has_top_k(VOCABULARY);
  let end = min((workgroup.x + 1) * STRIP, VOCABULARY);
  var best_token = VOCABULARY;
  var mass = Mass();
  for (var token = workgroup.x * STRIP + local; token < end; token += WORKGROUP_SIZE) {
    let logit = logits[token];
    if (logit >= LOWEST) {
      let x = (logit - largest) / sampling.temperature;
      if (logit >= least && x + gumbel_bound(hash, token) >= best) {
        let score = x + gumbel(hash, token);
        if (score > best || (score == best && best_token == VOCABULARY)) {
          best = score;
          best_token = token;
        }
      }
      if (needs_mass) {
        mass = add_mass(mass, x);
      }
      if (is_cut && logit >= least_listed) {
        let place = atomicAdd(&candidates.count, 1);
        if (place < MAX_CANDIDATES) {
          candidates.tokens[place] = token;
        }
      }
    }
  }
  if (needs_mass) {
    atomicAdd(&mass_high, mass.high);
    atomicAdd(&mass_low, mass.low);
  }
  keep_best(select(LOWEST, best, best_token < VOCABULARY), best_token, local);
  if (local == 0) {
    strips[workgroup.x].score = best_scores[0];
    strips[workgroup.x].winner = best_tokens[0];
    strips[workgroup.x].mass = Mass(atomicLoad(&mass_high), atomicLoad(&mass_low));
  }
}

// As many strips reach this logit as top_k asks for tokens, so that at least the top_k likeliest are listed, and not many
// more. Without top_k, or with a larger one: three quarters of the strips; some may have no likely token at all.
fn find_least_listed(local: u32) {
  let reaching = select(max(1u, STRIPS * 3 / 4), sampling.top_k, sampling.top_k > 0 && sampling.top_k <= STRIPS);
  for (var strip = local; strip < STRIPS; strip += WORKGROUP_SIZE) {
    var rank = 1u;
    for (var other = 0u; other < STRIPS; other++) {
      rank += u32(is_better(strip_logits[other], other, strip_logits[strip], strip));
    }
    if (rank == reaching) {
      least_listed = strip_logits[strip];
    }
  }
  workgroupBarrier();
}
