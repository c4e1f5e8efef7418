// Which tokens are candidates. Expects the binding `groups` and WORKGROUP_SIZE.
// import: sampling

var<workgroup> least_keys: array<u32, MAX_GROUPS / 4>;

// The least logit of a candidate. Every invocation must call it, in uniform control flow.
fn least_candidate(local: u32) -> f32 {
  let count = group_count();
  for (var i = local; 4 * i < count; i += WORKGROUP_SIZE) {
    let keys = select(vec4u(0xffffffff), groups[i], 4 * i + vec4u(0, 1, 2, 3) < vec4u(count));
    least_keys[i] = min(min(keys.x, keys.y), min(keys.z, keys.w));
  }
  workgroupBarrier();
  if (local == 0) {
    for (var i = 1u; 4 * i < count; i++) {
      least_keys[0] = min(least_keys[0], least_keys[i]);
    }
  }
  return key_value(max(workgroupUniformLoad(&least_keys[0]), order_key(LOWEST)));
}
