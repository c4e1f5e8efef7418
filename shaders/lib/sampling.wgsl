// What the sampling kernels share.

const STRIP = 4096u; // logits per workgroup of sample_strips.wgsl

struct Sampling {
  temperature: f32, // 0: the likeliest token
  top_p: f32,       // 1: off
  min_p: f32,       // 0: off
  repetition_penalty: f32, // 1: off
  top_k: u32,       // 0: off
  seed_low: u32,
  seed_high: u32,
}
