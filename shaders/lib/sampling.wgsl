// What the sampling kernels share.

const STRIP = 2048u; // logits per workgroup of sample_strips.wgsl and sample_candidates.wgsl
const STRIP_INVOCATIONS = 64u;
const MAX_CANDIDATES = 4096u;
const MAX_GROUPS = 256u; // of quarters of strips
const TOP_P_GROUPS = 64u; // without top_k
const LOWEST = -3.4e38f;      // not above any logit that may be sampled
const NO_LOGIT = -3.402823e38f; // below LOWEST

struct Sampling {
  temperature: f32, // 0: the likeliest token
  top_p: f32,       // 1: off
  min_p: f32,       // 0: off
  repetition_penalty: f32, // 1: off
  top_k: u32,       // 0: off
  seed_low: u32,
  seed_high: u32,
  presence_penalty: f32,  // 0: off
  frequency_penalty: f32, // 0: off
  adjusts: u32,           // 0: penalties and biases are off, and `adjustments` may hold anything
  masked: u32,            // 0: any token may be chosen, and `mask` may hold anything
}

// What changes the logit of a token.
struct Adjustment {
  bias: f32,        // -100 excludes the token
  // 1 if the prompt or the answer has it, plus 2 for each time that the answer has it; negative if no penalty applies.
  occurrences: i32,
}

struct Strip {
  largest: f32,   // logit; LOWEST if none is a number
  likeliest: u32, // the first token with that logit
  // Of each invocation, unless the temperature is 0: its largest logit; then, if top_p needs it, the probability of its tokens,
  // times a constant.
  parts: array<f32, STRIP_INVOCATIONS>,
}

// What the strips find together. Zeros before and after a step; floats as keys, since there are no atomic ones.
struct Found {
  largest: atomic<u32>, // logit
  bound: atomic<u32>,   // the highest score is not below this - largest / temperature
  candidate_count: atomic<u32>, // if it exceeds MAX_CANDIDATES, some are missing
  contender_count: atomic<u32>,
  candidates: array<u32, MAX_CANDIDATES>, // the likeliest tokens, in any order
  contenders: array<u32>, // tokens within min_p, in any order; the one with the highest score is among them
}

fn has_top_k(vocabulary: u32) -> bool {
  return sampling.top_k > 0 && sampling.top_k < vocabulary;
}

// Whether the rank of a token, or the probability of likelier ones, may exclude it.
fn has_cut(vocabulary: u32) -> bool {
  return has_top_k(vocabulary) || sampling.top_p < 1;
}

// The least logit within min_p.
fn min_p_logit(largest: f32) -> f32 {
  return select(LOWEST, min(largest, largest + sampling.temperature * log(sampling.min_p)), sampling.min_p > 0);
}

// Into how many groups the vocabulary is divided. Each has a token whose logit reaches the least of their largest ones, so
// those that reach it are at least top_k, and not many more.
fn group_count() -> u32 {
  return select(TOP_P_GROUPS, min(sampling.top_k, MAX_GROUPS), sampling.top_k > 0);
}

// Whether the choice may be a token that is no candidate.
fn needs_contenders(vocabulary: u32) -> bool {
  return !has_top_k(vocabulary) || sampling.top_k > MAX_GROUPS;
}

// Orders floats as unsigned integers; 0 is below all numbers.
fn order_key(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000, ~bits, (bits >> 31) == 1);
}

// The float with this key.
fn key_value(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffff, (key >> 31) == 1));
}
