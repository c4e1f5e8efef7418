// Second pass of sampling: chooses a token, makes it the next step's input, and advances the step.
//
// temperature 0: the likeliest token, the lowest id among equals. Otherwise p = softmax(logits / temperature), cut to the
// top_k likeliest (equals of the last one stay in), then to the smallest set of those with top_p of their probability, then
// to those with at least min_p of the largest probability. The choice is the token with the largest logit / temperature -
// ln(exponential variate), which samples from p without adding it up (Gumbel-max). It depends on seed and position alone.
//
// Grid: one workgroup.
// import: keep_best, random, reduce, sampling, step

override VOCABULARY: u32 = 201088;

const WORKGROUP_SIZE = 256u;
const BINS = 256u;
const MASS_ONE = 1073741824f; // 2^30: probabilities are summed as integers, so that the order does not matter

@group(0) @binding(0) var<uniform> sampling: Sampling;
@group(0) @binding(1) var<storage, read> logits: array<f32>;           // [VOCABULARY]
@group(0) @binding(2) var<storage, read> strip_logits: array<f32>;     // [strips]
@group(0) @binding(3) var<storage, read> strip_tokens: array<u32>;     // [strips]
@group(0) @binding(4) var<storage, read_write> step: Step;
@group(0) @binding(5) var<storage, read_write> tokens: array<u32>;     // the next step's
@group(0) @binding(6) var<storage, read_write> seen: array<u32>;       // a bit for each token that has occurred

var<workgroup> bins: array<atomic<u32>, BINS>;
var<workgroup> chosen_bin: u32;
var<workgroup> bins_above: u32;

@compute @workgroup_size(WORKGROUP_SIZE)
fn sample(@builtin(local_invocation_index) local: u32) {
  let strips = (VOCABULARY + STRIP - 1) / STRIP;
  var score = -3.4e38f;
  var token = VOCABULARY;
  for (var i = local; i < strips; i += WORKGROUP_SIZE) {
    if (strip_logits[i] > score) {
      score = strip_logits[i];
      token = strip_tokens[i];
    }
  }
  keep_best(score, token, local);
  let largest = best_scores[0];
  let is_number = best_tokens[0] < VOCABULARY;

  if (sampling.temperature > 0) {
    let floor_key = lowest_key(largest, local);
    workgroupBarrier(); // best_scores is read above and written below
    let position = step.position + step.tokens;
    score = -3.4e38f;
    token = VOCABULARY;
    for (var i = local; i < VOCABULARY; i += WORKGROUP_SIZE) {
      if (order_key(logits[i]) >= floor_key) {
        let candidate = (logits[i] - largest) / sampling.temperature - log(exponential(position, i));
        if (candidate > score || token == VOCABULARY) {
          score = candidate;
          token = i;
        }
      }
    }
    keep_best(score, token, local);
  }

  if (local == 0) {
    // If no logit is a number, there is no best token: VOCABULARY, which is no token's id, says so.
    let next = select(VOCABULARY, best_tokens[0], is_number);
    tokens[0] = next;
    if (next < VOCABULARY) {
      seen[next / 32] |= 1u << (next % 32);
    }
    step.position += step.tokens;
    step.tokens = 1;
    step.output_row = 0;
  }
}

// The key of the least likely token that may be sampled.
fn lowest_key(largest: f32, local: u32) -> u32 {
  var key = 0u;
  if (sampling.top_k > 0 && sampling.top_k < VOCABULARY) {
    key = select_key(false, sampling.top_k, 0, largest, 0, local);
  }
  if (sampling.top_p < 1) {
    // Each probability is divided by the sum of what top_k left.
    var sum = 0f;
    for (var i = local; i < VOCABULARY; i += WORKGROUP_SIZE) {
      if (order_key(logits[i]) >= key) {
        sum += exp((logits[i] - largest) / sampling.temperature);
      }
    }
    let unit = MASS_ONE / workgroup_sum(sum, local);
    key = max(key, select_key(true, max(1u, u32(sampling.top_p * MASS_ONE)), key, largest, unit, local));
  }
  if (sampling.min_p > 0) {
    key = max(key, order_key(largest + sampling.temperature * log(sampling.min_p)));
  }
  return key;
}

// The key of the token at which the count, or the probability, of tokens from the likeliest down reaches `target`, among
// tokens of key `floor_key` and up. A radix select, 8 bits at a time.
fn select_key(by_mass: bool, target_sum: u32, floor_key: u32, largest: f32, unit: f32, local: u32) -> u32 {
  var prefix = 0u;
  var wanted = target_sum;
  for (var shift = 24i; shift >= 0; shift -= 8) {
    atomicStore(&bins[local], 0u);
    workgroupBarrier();
    for (var i = local; i < VOCABULARY; i += WORKGROUP_SIZE) {
      let key = order_key(logits[i]);
      // Shifting by 32 is not defined: the first round has no prefix to compare.
      let in_prefix = shift == 24 || ((key ^ prefix) >> (u32(shift) + 8)) == 0;
      if (in_prefix && key >= floor_key) {
        var mass = 1u;
        if (by_mass) {
          mass = u32(exp((logits[i] - largest) / sampling.temperature) * unit + 0.5);
        }
        atomicAdd(&bins[(key >> u32(shift)) & 255], mass);
      }
    }
    workgroupBarrier();
    if (local == 0) {
      var above = 0u;
      var bin = BINS - 1;
      // Stop at bin 0 whatever it holds: rounding may leave the sum of all just short of the target.
      while (bin > 0 && above + atomicLoad(&bins[bin]) < wanted) {
        above += atomicLoad(&bins[bin]);
        bin--;
      }
      chosen_bin = bin;
      bins_above = above;
    }
    workgroupBarrier();
    prefix |= chosen_bin << u32(shift);
    wanted -= bins_above;
    workgroupBarrier();
  }
  return prefix;
}

// Orders floats as unsigned integers.
fn order_key(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000, ~bits, (bits >> 31) == 1);
}
