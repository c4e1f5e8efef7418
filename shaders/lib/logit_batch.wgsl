// Several loads in flight at once. Expects VOCABULARY, WORKGROUP_SIZE and the binding `logits`.
// import: sampling

const BATCH = 8u;

// The logits of `first` and every WORKGROUP_SIZEth token after it; NO_LOGIT beyond the vocabulary.
fn logit_batch(first: u32) -> array<f32, BATCH> {
  var batch: array<f32, BATCH>;
  for (var i = 0u; i < BATCH; i++) {
    let token = first + i * WORKGROUP_SIZE;
    batch[i] = select(NO_LOGIT, logits[min(token, VOCABULARY - 1)], token < VOCABULARY);
  }
  return batch;
}
