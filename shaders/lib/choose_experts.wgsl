// A token's choice of experts from its router logits: the TOP largest, the lowest index first among equals, and the softmax
// over those alone. Expects the binding `router_logits`, the overrides EXPERTS and TOP, and WORKGROUP_SIZE.

const RANK_STEP = 16u; // keys that are compared at a time

// Numbers in the order of the logits; 0, below all of them, up to a multiple of RANK_STEP.
var<workgroup> keys: array<u32, (EXPERTS + RANK_STEP - 1) / RANK_STEP * RANK_STEP>;
var<workgroup> top_experts: array<u32, TOP>; // best first
var<workgroup> top_logits: array<f32, TOP>;

// Fills `top_experts` and `top_logits`. Every invocation must call it, in uniform control flow.
fn choose_experts(token: u32, local: u32) {
  for (var expert = local; expert < EXPERTS; expert += WORKGROUP_SIZE) {
    let bits = bitcast<u32>(router_logit(token, expert));
    keys[expert] = select(bits | 0x80000000, ~bits, (bits & 0x80000000) != 0);
  }
  workgroupBarrier();
  for (var expert = local; expert < EXPERTS; expert += WORKGROUP_SIZE) {
    // An expert's rank is the number of experts that come before it.
    let key = keys[expert];
    var rank = 0u;
    for (var first = 0u; first < EXPERTS; first += RANK_STEP) {
      for (var i = first; i < first + RANK_STEP; i++) {
        rank += u32(keys[i] + u32(i < expert) > key);
      }
    }
    if (rank < TOP) {
      top_experts[rank] = expert;
      top_logits[rank] = router_logit(token, expert);
    }
  }
  workgroupBarrier();
}

fn router_logit(token: u32, expert: u32) -> f32 {
  return router_logits[token * (EXPERTS + 1) + expert];
}

// The weight of the k-th choice.
fn expert_weight(k: u32) -> f32 {
  var sum = 0f;
  for (var i = 0u; i < TOP; i++) {
    sum += exp(top_logits[i] - top_logits[0]);
  }
  return exp(top_logits[k] - top_logits[0]) / sum;
}
