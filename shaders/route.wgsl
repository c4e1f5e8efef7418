// router_logits[t] = W h[t] + b, the router's logits; the TOP largest of them, lowest index first among equals, and the softmax over
// those alone; for many tokens.
//
// Grid: (1, tokens). One workgroup per token.
// import: choose_experts, dense_bf16, join_splits, row_product, tile

override COLUMNS: u32 = 2880;
override EXPERTS: u32 = 32;
override TOP: u32 = 4; // experts per token
override SPLITS: u32 = 16; // invocations that share a row's columns

const PAIRS = TILE_ROWS / 2;
override WORKGROUP_SIZE: u32 = PAIRS * SPLITS;

@group(0) @binding(0) var<storage, read> h: array<vec4f>;                    // [tokens, COLUMNS]
@group(0) @binding(1) var<storage, read> weights: array<vec4u>;              // [EXPERTS, COLUMNS], tiled bfloat16
@group(0) @binding(2) var<storage, read> bias: array<f32>;                   // [EXPERTS]
@group(0) @binding(3) var<storage, read_write> router_logits: array<f32>;           // [tokens, EXPERTS + 1]; the last stays as it is
@group(0) @binding(4) var<storage, read_write> experts: array<u32>;          // [tokens, TOP], best first
@group(0) @binding(5) var<storage, read_write> expert_weights: array<f32>;   // [tokens, TOP]

@compute @workgroup_size(WORKGROUP_SIZE)
fn route(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = workgroup.y;
  let pair = local % PAIRS;
  for (var first = 0u; first < EXPERTS; first += TILE_ROWS) {
    let expert = first + pair;
    let shares = row_products(expert, expert + PAIRS, local / PAIRS, token * (COLUMNS / 4));
    let sums = join_splits(shares, local);
    if (local < PAIRS) {
      write_logit(token, expert, sums.x);
      write_logit(token, expert + PAIRS, sums.y);
    }
    workgroupBarrier();
  }
  storageBarrier();

  choose_experts(token, local);
  for (var k = local; k < TOP; k += WORKGROUP_SIZE) {
    experts[token * TOP + k] = top_experts[k];
    expert_weights[token * TOP + k] = expert_weight(k);
  }
}

fn write_logit(token: u32, expert: u32, product: f32) {
  if (expert < EXPERTS) {
    router_logits[token * (EXPERTS + 1) + expert] = product + bias[expert];
  }
}

fn input_quad(i: u32) -> vec4f {
  return h[i];
}
