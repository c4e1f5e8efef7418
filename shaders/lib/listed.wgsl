// Which tokens are candidates. Expects the binding `candidates`.
// import: sampling

// The logit from which on tokens are listed.
fn least_listed() -> f32 {
  var key = 0xffffffffu;
  for (var group = 0u; group < group_count(); group++) {
    key = min(key, atomicLoad(&candidates.groups[group]));
  }
  return key_value(max(key, order_key(LOWEST)));
}
