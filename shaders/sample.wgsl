// Last pass of sampling: chooses a token, makes it the next step's input, and advances the step.
//
// temperature 0: the likeliest token, the lowest id among equals. Otherwise p = softmax(logits / temperature), cut to the
// top_k likeliest (equals of the last one stay in), then to the smallest set of those with top_p of their probability, then
// to those with at least min_p of the largest probability. The choice is the token with the highest score (see
// sample_candidates.wgsl); it depends on seed and position alone. If a token is left out, so are all that are no likelier:
// the next choice has the highest score of the likelier ones.
//
// Grid: one workgroup.
// import: keep_best, least_candidate, random, sampling, step

override VOCABULARY: u32 = 201088;
override STRIPS: u32 = (VOCABULARY + STRIP - 1) / STRIP;

const WORKGROUP_SIZE = 128u;
const BINS = 256u;

@group(0) @binding(0) var<uniform> sampling: Sampling;
@group(0) @binding(1) var<storage, read> logits: array<f32>;             // [VOCABULARY]
@group(0) @binding(2) var<storage, read> strips: array<Strip>;           // [STRIPS]
@group(0) @binding(3) var<storage, read_write> found: Found;
@group(0) @binding(4) var<storage, read_write> groups: array<vec4u>;     // [MAX_GROUPS / 4]
@group(0) @binding(5) var<storage, read_write> step: Step;
@group(0) @binding(6) var<storage, read_write> tokens: array<u32>;       // the next step's
@group(0) @binding(7) var<storage, read_write> seen: array<u32>;         // a bit for each token that has occurred

// The tokens that are looked at: the candidates if the choice is one of them, else all.
struct Source {
  is_list: u32,
  count: u32,
  largest: f32, // logit
  least: f32,   // no token with a smaller logit is listed
}

var<workgroup> candidates: Source;
var<workgroup> bins: array<atomic<u32>, BINS>;
var<workgroup> chosen_bin: vec3u; // the bin, the count of those above it, its own count
var<workgroup> partial_masses: array<f32, WORKGROUP_SIZE>;
var<workgroup> mass_high: atomic<u32>;
var<workgroup> mass_low: atomic<u32>;
var<workgroup> mass_sum: f32;

@compute @workgroup_size(WORKGROUP_SIZE)
fn sample(@builtin(local_invocation_index) local: u32) {
  var next = VOCABULARY;
  if (sampling.temperature == 0) {
    next = likeliest(local);
  } else {
    if (needs_contenders(VOCABULARY)) {
      next = winner(local);
    }
    if (has_cut(VOCABULARY)) {
      next = cut(next, local);
    }
  }
  if (local < MAX_GROUPS / 4) {
    groups[local] = vec4u(0);
  }
  if (local == 0) {
    atomicStore(&found.largest, 0);
    atomicStore(&found.bound, 0);
    atomicStore(&found.candidate_count, 0);
    atomicStore(&found.contender_count, 0);
    // If no logit is a number, no token is chosen: VOCABULARY, which is no token's id, says so.
    tokens[0] = next;
    if (next < VOCABULARY) {
      seen[next / 32] |= 1u << (next % 32);
    }
    step.position += step.tokens;
    step.tokens = 1;
    step.output_row = 0;
  }
}

fn likeliest(local: u32) -> u32 {
  var best = LOWEST;
  var token = VOCABULARY;
  for (var i = local; i < STRIPS; i += WORKGROUP_SIZE) {
    if (strips[i].largest > best) {
      best = strips[i].largest;
      token = strips[i].likeliest;
    }
  }
  keep_best(best, token, local);
  return workgroupUniformLoad(&best_tokens[0]);
}

// The choice without top_k and top_p.
fn winner(local: u32) -> u32 {
  let largest = key_value(atomicLoad(&found.largest));
  let hash = step_hash(step.position + step.tokens);
  let count = atomicLoad(&found.contender_count);
  var best = LOWEST;
  var best_token = VOCABULARY;
  for (var i = local; i < count; i += WORKGROUP_SIZE) {
    let token = found.contenders[i];
    let score = (logits[token] - largest) / sampling.temperature + gumbel(hash, token);
    if (is_better(score, token, best, best_token)) {
      best = score;
      best_token = token;
    }
  }
  keep_best(best, best_token, local);
  return workgroupUniformLoad(&best_tokens[0]);
}

// The choice within top_k and top_p, from the choice without them, if that is known.
fn cut(winner: u32, local: u32) -> u32 {
  if (local == 0) {
    candidates = Source(
      1,
      atomicLoad(&found.candidate_count),
      key_value(atomicLoad(&found.largest)),
      least_candidate(),
    );
  }
  var source = workgroupUniformLoad(&candidates);
  let has_top_k = has_top_k(VOCABULARY);
  var total = 0f;
  if (!has_top_k) {
    total = mass_of_all(local);
  }

  let winner_logit = select(LOWEST, logits[min(winner, VOCABULARY - 1)], winner < VOCABULARY);
  var decides = source.count <= MAX_CANDIDATES;
  if (decides && has_top_k && source.count < sampling.top_k) {
    decides = sampling.top_p == 1 && winner_logit >= source.least;
  } else if (decides && !has_top_k && winner_logit < source.least) {
    decides = mass_above(source, LOWEST, local) >= sampling.top_p * total;
  }
  if (!decides) {
    source = Source(0, VOCABULARY, source.largest, LOWEST);
  }

  var above = LOWEST; // choices have larger logits
  if (has_top_k) {
    above = top_k_bound(source, local);
    if (sampling.top_p < 1) {
      total = mass_above(source, above, local);
    }
  }
  above = max(above, key_value(order_key(min_p_logit(source.largest)) - 1));
  var token = winner;
  var logit = winner_logit;
  loop {
    if (logit >= source.least && logit > above) {
      if (sampling.top_p == 1 || mass_above(source, logit, local) < sampling.top_p * total) {
        return token;
      }
      above = logit;
    }
    token = best_above(source, above, local);
    if (token == VOCABULARY) {
      return token;
    }
    logit = logits[token];
  }
}

fn token_at(source: Source, i: u32) -> u32 {
  if (source.is_list == 1) {
    return found.candidates[i];
  }
  return i;
}

// The token with the highest score of those with larger logits than `above`.
fn best_above(source: Source, above: f32, local: u32) -> u32 {
  let hash = step_hash(step.position + step.tokens);
  var best = LOWEST;
  var best_token = VOCABULARY;
  for (var i = local; i < source.count; i += WORKGROUP_SIZE) {
    let token = token_at(source, i);
    let x = (logits[token] - source.largest) / sampling.temperature;
    if (logits[token] > above && x + gumbel_bound(hash, token) >= best) {
      let score = x + gumbel(hash, token);
      if (is_better(score, token, best, best_token)) {
        best = score;
        best_token = token;
      }
    }
  }
  keep_best(best, best_token, local);
  return workgroupUniformLoad(&best_tokens[0]);
}

// The probability, times a constant, of all tokens.
fn mass_of_all(local: u32) -> f32 {
  var sum = 0f;
  for (var i = local; i < STRIPS * STRIP_INVOCATIONS; i += WORKGROUP_SIZE) {
    sum += strips[i / STRIP_INVOCATIONS].masses[i % STRIP_INVOCATIONS];
  }
  partial_masses[local] = sum;
  workgroupBarrier();
  if (local == 0) {
    sum = 0;
    for (var i = 0u; i < WORKGROUP_SIZE; i++) {
      sum += partial_masses[i];
    }
    mass_sum = sum;
  }
  return workgroupUniformLoad(&mass_sum);
}

// The same of the tokens with larger logits than `above`.
fn mass_above(source: Source, above: f32, local: u32) -> f32 {
  // Integers, so that the order of the list does not matter; two of them, so that 262,144 equals fit.
  var high = 0u;
  var low = 0u;
  for (var i = local; i < source.count; i += WORKGROUP_SIZE) {
    let logit = logits[token_at(source, i)];
    if (logit > above) {
      let mass = u32(exp((logit - source.largest) / sampling.temperature) * 268435456 + 0.5);
      high += mass >> 14;
      low += mass & 0x3fff;
    }
  }
  atomicAdd(&mass_high, high);
  atomicAdd(&mass_low, low);
  workgroupBarrier();
  if (local == 0) {
    mass_sum = (f32(atomicExchange(&mass_high, 0)) * 16384 + f32(atomicExchange(&mass_low, 0))) / 268435456;
  }
  return workgroupUniformLoad(&mass_sum);
}

// A logit that the top_k likeliest exceed, and no other token. Narrows a range of keys down, 8 bits at a time.
fn top_k_bound(source: Source, local: u32) -> f32 {
  var low = order_key(max(source.least, LOWEST));
  var width = order_key(source.largest) - low;
  var wanted = sampling.top_k;
  loop {
    let shift = u32(max(0, 24 - i32(countLeadingZeros(width))));
    for (var bin = local; bin < BINS; bin += WORKGROUP_SIZE) {
      atomicStore(&bins[bin], 0u);
    }
    workgroupBarrier();
    for (var i = local; i < source.count; i += WORKGROUP_SIZE) {
      let place = order_key(logits[token_at(source, i)]) - low;
      if (place <= width) {
        atomicAdd(&bins[place >> shift], 1);
      }
    }
    workgroupBarrier();
    for (var bin = local; bin < BINS; bin += WORKGROUP_SIZE) {
      var larger = 0u;
      for (var other = bin + 1; other < BINS; other++) {
        larger += atomicLoad(&bins[other]);
      }
      let count = atomicLoad(&bins[bin]);
      // The lowest bin takes the rest: fewer logits than top_k may be numbers.
      if (larger < wanted && (larger + count >= wanted || bin == 0)) {
        chosen_bin = vec3u(bin, larger, count);
      }
    }
    let chosen = workgroupUniformLoad(&chosen_bin);
    low += chosen.x << shift;
    wanted -= chosen.y;
    if (shift == 0 || chosen.z <= wanted) {
      return key_value(low - 1);
    }
    width = (1u << shift) - 1;
  }
}
