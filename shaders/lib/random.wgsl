// Random numbers from a seed, a position and a token. Expects the binding `sampling`.
// import: sampling

// A standard exponential variate, fine-grained near 0, where the likely winners are.
fn exponential(position: u32, token: u32) -> f32 {
  // The largest f32 below 1: the largest hashes would round up to 1.
  let v = min((f32(hash(position, token)) + 0.5) / 4294967296.0, 0.99999994);
  // -ln(1 - v); by its series for small v, whose digits 1 - v would lose.
  return select(-log(1 - v), v + v * v * (0.5 + v * (1.0 / 3.0)), v < 0.01);
}

// Rounds of PCG (https://jcgt.org/published/0009/03/02/) over seed, position and token.
fn hash(position: u32, token: u32) -> u32 {
  return pcg(pcg(pcg(pcg(sampling.seed_low) ^ sampling.seed_high) ^ position) ^ token);
}

fn pcg(value: u32) -> u32 {
  let state = value * 747796405 + 2891336453;
  let word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737;
  return (word >> 22) ^ word;
}
