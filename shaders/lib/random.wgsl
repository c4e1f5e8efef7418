// Random numbers from a seed, a position and a token. Expects the binding `sampling`.
// import: sampling

// What `gumbel` and `gumbel_bound` hash with the token: the same for all tokens of a step.
fn step_hash(position: u32) -> u32 {
  return pcg(pcg(pcg(sampling.seed_low) ^ sampling.seed_high) ^ position);
}

// A standard Gumbel variate, fine-grained where it is large and the likely winners are.
fn gumbel(step_hash: u32, token: u32) -> f32 {
  // The largest f32 below 1: the largest hashes would round up to 1.
  let v = min((f32(pcg(step_hash ^ token)) + 0.5) / 4294967296.0, 0.99999994);
  // -ln(1 - v), an exponential variate; by its series for small v, whose digits 1 - v would lose.
  return -log(select(-log(1 - v), v + v * v * (0.5 + v * (1.0 / 3.0)), v < 0.01));
}

// At least `gumbel`, without logarithms: -ln(-ln(1 - v)) <= -ln(v) < 0.7 * -floor(log2(v)).
fn gumbel_bound(step_hash: u32, token: u32) -> f32 {
  let exponent = bitcast<u32>(f32(pcg(step_hash ^ token))) >> 23; // of v * 2^32, plus 127
  return 0.7 * f32(159 - exponent);
}

// Rounds of PCG (https://jcgt.org/published/0009/03/02/) over seed, position and token.
fn pcg(value: u32) -> u32 {
  let state = value * 747796405 + 2891336453;
  let word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737;
  return (word >> 22) ^ word;
}
