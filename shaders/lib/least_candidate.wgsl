// Which tokens are candidates. Expects the binding `groups`.
// import: sampling

// The least logit of a candidate.
fn least_candidate() -> f32 {
  let count = group_count();
  var keys = vec4u(0xffffffff);
  for (var i = 0u; i < count; i += 4) {
    keys = min(keys, select(vec4u(0xffffffff), groups[i / 4], i + vec4u(0, 1, 2, 3) < vec4u(count)));
  }
  let key = min(min(keys.x, keys.y), min(keys.z, keys.w));
  return key_value(max(key, order_key(LOWEST)));
}
