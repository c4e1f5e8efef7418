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
  var lists_candidates = false;
  var least = LOWEST;
  if (has_cut(VOCABULARY)) {
    least = least_candidate(local);
    lists_candidates = strips[workgroup.x].parts[local] >= least;
  }
  let adds_masses = has_cut(VOCABULARY) && !has_top_k(VOCABULARY);
  let lists_contender = needs_contenders(VOCABULARY);
  if (!lists_candidates && !adds_masses && !lists_contender) {
    return;
  }
  let least_contender = min_p_logit(largest);
  let hash = step_hash(step.position + step.tokens);
  var best = least_score(workgroup.x, largest, hash);
  var contender = VOCABULARY; // the invocation's token with the highest score, if it may win
  var mass = 0f;
  let strip = workgroup.x * STRIP + local;
  for (var first = strip; first < strip + STRIP; first += BATCH * WORKGROUP_SIZE) {
    let batch = logit_batch(first);
    if (lists_candidates) {
      for (var i = 0u; i < BATCH; i++) {
        if (batch[i] >= least) {
          let place = atomicAdd(&found.candidate_count, 1);
          if (place < MAX_CANDIDATES) {
            found.candidates[place] = first + i * WORKGROUP_SIZE;
          }
        }
      }
    }
    if (adds_masses) {
      for (var i = 0u; i < BATCH; i++) {
        mass += select(0, exp((batch[i] - largest) * (1 / sampling.temperature)), batch[i] >= LOWEST);
      }
    }
    if (lists_contender) {
      for (var i = 0u; i < BATCH; i++) {
        let token = first + i * WORKGROUP_SIZE;
        let x = (batch[i] - largest) / sampling.temperature;
        if (batch[i] >= least_contender && x + gumbel_bound(hash, token) >= best) {
          let score = x + gumbel(hash, token);
          if (score > best) {
            best = score;
            contender = token;
          }
        }
      }
    }
  }
  if (adds_masses) {
    strips[workgroup.x].parts[local] = mass;
  }
  if (contender < VOCABULARY) {
    found.contenders[atomicAdd(&found.contender_count, 1)] = contender;
  }
}

// What a contender's score must reach. Few tokens need their logarithms: the others cannot win against the likeliest token of
// each strip.
fn least_score(strip: u32, largest: f32, hash: u32) -> f32 {
  let scaled = largest / sampling.temperature;
  var score = key_value(atomicLoad(&found.bound)) - scaled;
  if (sampling.min_p > 0) { // it may exclude that token
    let own = strips[strip].largest;
    if (own < min_p_logit(largest)) {
      return LEAST_GUMBEL;
    }
    score = (own - largest) / sampling.temperature + gumbel(hash, strips[strip].likeliest);
  }
  // Less what rounding may have added.
  return max(LEAST_GUMBEL, score - 1e-6 * abs(scaled) - 1e-5);
}
