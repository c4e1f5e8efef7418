// SwiGLU as gpt-oss has it: gate clamped from above only, up from both sides, and up + 1.

const SWIGLU_ALPHA = 1.702f;

fn swiglu(gate_raw: f32, up_raw: f32, limit: f32) -> f32 {
  let gate = min(gate_raw, limit);
  let up = clamp(up_raw, -limit, limit);
  // Gate has no lower bound: beyond this exponent e^x would overflow, and the quotient is 0 anyway.
  return gate / (1 + exp(min(-SWIGLU_ALPHA * gate, 80))) * (up + 1);
}
