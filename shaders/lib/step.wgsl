// What changes from one forward pass to the next. The CPU writes it before a prefill; sample.wgsl advances it in decode.

struct Step {
  position: u32,   // of the first token of this pass
  tokens: u32,     // of this pass
  output_row: u32, // the first token of this pass whose logits are needed
}
