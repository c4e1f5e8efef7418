// The choice within top_k, top_p and min_p. If a token is excluded, so are all that are no likelier: the next choice has the
// highest score of the likelier ones. Few tokens are excluded before one is chosen: about ln(VOCABULARY) at most.
// Expects VOCABULARY, STRIPS, WORKGROUP_SIZE and the bindings `sampling`, `step`, `logits`, `strips`, `found` and `groups`.
// import: keep_best, least_candidate, logit_batch, random, sampling, step

const ALL = 0u;
const CANDIDATES = 1u;
const CONTENDERS = 2u;

// Tokens to choose from.
struct Source {
  list: u32,    // ALL, CANDIDATES or CONTENDERS
  count: u32,
  least: f32,   // tokens with smaller logits do not count
  largest: f32, // logit of all
}

const BINS = 256u;

var<workgroup> shared_source: Source;
var<workgroup> bins: array<atomic<u32>, BINS>;
var<workgroup> chosen_bin: vec3u; // the bin, the count of those above it, its own count
var<workgroup> partial_masses: array<f32, WORKGROUP_SIZE>;
var<workgroup> mass_parts: array<atomic<u32>, 4>;
var<workgroup> mass_sums: vec2f;

// The choice, from the one without top_k and top_p if that is known.
fn cut(winner: u32, local: u32) -> u32 {
  let least_of_candidates = least_candidate(local);
  if (local == 0) {
    shared_source = Source(
      CANDIDATES,
      atomicLoad(&found.candidate_count),
      least_of_candidates,
      key_value(atomicLoad(&found.largest)),
    );
  }
  var source = workgroupUniformLoad(&shared_source);
  let has_top_k = has_top_k(VOCABULARY);
  var token = winner;
  var logit = select(NO_LOGIT, logits[min(winner, VOCABULARY - 1)], winner < VOCABULARY);
  // The candidates decide if all of the top_k are among them, or if all that are likelier than the winner are.
  let are_top_k = has_top_k && source.count >= sampling.top_k;
  let are_likelier = logit >= source.least && (!has_top_k || sampling.top_p == 1);
  if (source.count > MAX_CANDIDATES || !(are_top_k || are_likelier)) {
    source = Source(ALL, VOCABULARY, LOWEST, source.largest);
  }
  var mass = 0f;
  if (has_top_k) {
    source.least = top_k_logit(source, local);
  } else {
    mass = mass_of_all(local);
  }
  let least = max(source.least, min_p_logit(source.largest));
  var above = NO_LOGIT;
  loop {
    if (logit >= least && logit > above) {
      if (sampling.top_p == 1) {
        return token;
      }
      let masses = masses_from(source, logit, local);
      if (masses.y < sampling.top_p * select(mass, masses.x, has_top_k)) {
        return token;
      }
      above = logit;
    }
    token = best_above(source, least, above, local);
    if (token == VOCABULARY) {
      return token;
    }
    logit = logits[token];
  }
}

fn token_at(source: Source, i: u32) -> u32 {
  if (source.list == CANDIDATES) {
    return found.candidates[i];
  }
  if (source.list == CONTENDERS) {
    return found.contenders[i];
  }
  return i;
}

// The token with the highest score of those whose logits are at least `least`, and above `above`.
fn best_above(source: Source, least: f32, above: f32, local: u32) -> u32 {
  let hash = step_hash(step.position + step.tokens);
  var best = LOWEST;
  var best_token = VOCABULARY;
  for (var i = local; i < source.count; i += WORKGROUP_SIZE) {
    let token = token_at(source, i);
    let logit = logits[token];
    let x = (logit - source.largest) / sampling.temperature;
    if (logit >= least && logit > above && x + gumbel_bound(hash, token) >= best) {
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
    sum += strips[i / STRIP_INVOCATIONS].parts[i % STRIP_INVOCATIONS];
  }
  partial_masses[local] = sum;
  workgroupBarrier();
  if (local == 0) {
    sum = 0;
    for (var i = 0u; i < WORKGROUP_SIZE; i++) {
      sum += partial_masses[i];
    }
    mass_sums.x = sum;
  }
  return workgroupUniformLoad(&mass_sums).x;
}

// The same of the tokens that count, and of those with larger logits than `above`.
fn masses_from(source: Source, above: f32, local: u32) -> vec2f {
  // Integers, so that the order of a list does not matter; two of each, so that 262,144 equals fit.
  var parts: vec4u;
  for (var first = local; first < source.count; first += BATCH * WORKGROUP_SIZE) {
    var batch: array<f32, BATCH>;
    if (source.list == ALL) {
      batch = logit_batch(first);
    } else {
      for (var i = 0u; i < BATCH; i++) {
        let place = min(first + i * WORKGROUP_SIZE, source.count - 1);
        batch[i] = select(NO_LOGIT, logits[token_at(source, place)], first + i * WORKGROUP_SIZE < source.count);
      }
    }
    for (var i = 0u; i < BATCH; i++) {
      if (batch[i] >= source.least) {
        let mass = u32(exp((batch[i] - source.largest) / sampling.temperature) * 268435456 + 0.5);
        let part = vec4u(mass >> 14, mass & 0x3fff, 0, 0);
        parts += select(part, part.xyxy, batch[i] > above);
      }
    }
  }
  for (var i = 0u; i < 4; i++) {
    atomicAdd(&mass_parts[i], parts[i]);
  }
  workgroupBarrier();
  if (local == 0) {
    for (var i = 0u; i < 2; i++) {
      let high = f32(atomicExchange(&mass_parts[2 * i], 0));
      mass_sums[i] = (high * 16384 + f32(atomicExchange(&mass_parts[2 * i + 1], 0))) / 268435456;
    }
  }
  return workgroupUniformLoad(&mass_sums);
}

// The least logit of the top_k likeliest. Narrows a range of keys down, 8 bits at a time.
fn top_k_logit(source: Source, local: u32) -> f32 {
  var low = order_key(source.least);
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
      return key_value(low);
    }
    width = (1u << shift) - 1;
  }
}
