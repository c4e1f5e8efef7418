// The choice within top_k, top_p and min_p. If a token is excluded, so are all that are no likelier: the next choice has the
// highest score of the likelier ones. Few tokens are excluded before one is chosen, about ln(VOCABULARY) at most.
// Expects VOCABULARY, STRIPS, WORKGROUP_SIZE and the bindings `sampling`, `step`, `logits`, `strips`, `found` and `groups`.
// import: keep_best, least_candidate, logit_batch, random, sampling, step

// The tokens that are looked at: the candidates if the choice is one of them, else all.
struct Source {
  is_list: u32,
  count: u32,
  largest: f32, // logit
  least: f32,   // tokens with smaller logits do not count
}

const BINS = 256u;

var<workgroup> candidates: Source;
var<workgroup> bins: array<atomic<u32>, BINS>;
var<workgroup> chosen_bin: vec3u; // the bin, the count of those above it, its own count
var<workgroup> partial_masses: array<f32, WORKGROUP_SIZE>;
var<workgroup> mass_high: atomic<u32>;
var<workgroup> mass_low: atomic<u32>;
var<workgroup> mass_sum: f32;

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

  let winner_logit = select(NO_LOGIT, logits[min(winner, VOCABULARY - 1)], winner < VOCABULARY);
  var decides = source.count <= MAX_CANDIDATES;
  if (decides && has_top_k && source.count < sampling.top_k) {
    decides = sampling.top_p == 1 && winner_logit >= source.least;
  } else if (decides && !has_top_k && winner_logit < source.least) {
    decides = mass_above(source, NO_LOGIT, local) >= sampling.top_p * total;
  }
  if (!decides) {
    source = Source(0, VOCABULARY, source.largest, LOWEST);
  }

  if (has_top_k) {
    source.least = top_k_logit(source, local);
    if (sampling.top_p < 1) {
      total = mass_above(source, NO_LOGIT, local);
    }
  }
  source.least = max(source.least, min_p_logit(source.largest));
  var above = NO_LOGIT;
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
    return found.candidates[min(i, source.count - 1)];
  }
  return i;
}

// The logits of the `first` token and every WORKGROUP_SIZEth after it; NO_LOGIT beyond the last one.
fn source_batch(source: Source, first: u32) -> array<f32, BATCH> {
  if (source.is_list == 0) {
    return logit_batch(first);
  }
  var batch: array<f32, BATCH>;
  for (var i = 0u; i < BATCH; i++) {
    let place = first + i * WORKGROUP_SIZE;
    batch[i] = select(NO_LOGIT, logits[token_at(source, place)], place < source.count);
  }
  return batch;
}

// The token with the highest score of those with larger logits than `above`.
fn best_above(source: Source, above: f32, local: u32) -> u32 {
  let hash = step_hash(step.position + step.tokens);
  var best = LOWEST;
  var best_token = VOCABULARY;
  for (var first = local; first < source.count; first += BATCH * WORKGROUP_SIZE) {
    let batch = source_batch(source, first);
    for (var i = 0u; i < BATCH; i++) {
      if (batch[i] >= source.least && batch[i] > above) {
        let token = token_at(source, first + i * WORKGROUP_SIZE);
        let x = (batch[i] - source.largest) / sampling.temperature;
        if (x + gumbel_bound(hash, token) >= best) {
          let score = x + gumbel(hash, token);
          if (is_better(score, token, best, best_token)) {
            best = score;
            best_token = token;
          }
        }
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
  for (var first = local; first < source.count; first += BATCH * WORKGROUP_SIZE) {
    let batch = source_batch(source, first);
    for (var i = 0u; i < BATCH; i++) {
      if (batch[i] >= source.least && batch[i] > above) {
        let mass = u32(exp((batch[i] - source.largest) / sampling.temperature) * 268435456 + 0.5);
        high += mass >> 14;
        low += mass & 0x3fff;
      }
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
    for (var first = local; first < source.count; first += BATCH * WORKGROUP_SIZE) {
      let batch = source_batch(source, first);
      for (var i = 0u; i < BATCH; i++) {
        let place = order_key(batch[i]) - low;
        if (place <= width) {
          atomicAdd(&bins[place >> shift], 1);
        }
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
