// What the sampling kernels share.

const STRIP = 2048u; // logits per workgroup of sample_strips.wgsl and sample_candidates.wgsl
const MAX_CANDIDATES = 4096u;
const LOWEST = -3.4e38f; // below every logit that may be sampled

struct Sampling {
  temperature: f32, // 0: the likeliest token
  top_p: f32,       // 1: off
  min_p: f32,       // 0: off
  repetition_penalty: f32, // 1: off
  top_k: u32,       // 0: off
  seed_low: u32,
  seed_high: u32,
}

// A strip's tokens.
struct Strip {
  largest: vec4f, // logits, of every fourth token each; LOWEST if none is a number
  likeliest: u32, // the first token with the largest of them
  gumbel: f32,    // of that token
  score: f32,     // the highest of the tokens within min_p
  winner: u32,    // the first token with that score; none if another strip's is higher
  mass: Mass,     // of all tokens, if top_p needs it
}

fn largest_of(logits: vec4f) -> f32 {
  return max(max(logits.x, logits.y), max(logits.z, logits.w));
}

// The likeliest tokens, in any order.
struct Candidates {
  count: atomic<u32>, // if it exceeds MAX_CANDIDATES, some are missing
  least: f32,         // every token whose logit is at least this is listed
  largest: f32,       // the largest logit
  tokens: array<u32, MAX_CANDIDATES>,
}

// A sum of probabilities relative to the likeliest token's, in units of 2^-28. Integers, so that the order does not matter;
// two of them, so that 262,144 equals fit.
struct Mass {
  high: u32, // in units of 2^-14
  low: u32,
}

// x: (logit - largest logit) / temperature.
fn add_mass(sum: Mass, x: f32) -> Mass {
  let mass = u32(exp(x) * 268435456 + 0.5);
  return Mass(sum.high + (mass >> 14), sum.low + (mass & 0x3fff));
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
