// router_logits[t] = W norm(x[t]) + b, the router's logits, and then 1 / rms(x[t]); for few tokens.
//
// Grid: (experts, tokens). One workgroup per row of W.
// import: dense_bf16, inverse_rms, normed_rows, reduce, tile

override COLUMNS: u32 = 2880;
override EXPERTS: u32 = 32;
override EPSILON: f32 = 1e-5;
override WORKGROUP_SIZE: u32 = 128; // a multiple of 16

const BLOCK_VECTORS = BLOCK_COLUMNS / (4 * VECTOR_QUADS);

@group(0) @binding(0) var<storage, read> h: array<vec4f>;            // [tokens], lib/normed_rows of COLUMNS
@group(0) @binding(1) var<storage, read> weights: array<vec4u>;      // [EXPERTS, COLUMNS], tiled bfloat16
@group(0) @binding(2) var<storage, read> bias: array<f32>;           // [EXPERTS]
@group(0) @binding(3) var<storage, read_write> router_logits: array<f32>;   // [tokens, EXPERTS + 1]

@compute @workgroup_size(WORKGROUP_SIZE)
fn router(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let expert = workgroup.x;
  let token = workgroup.y;
  let squares = square_share(token, local);
  let first_quad = token * normed_row(COLUMNS) / 4;
  let blocks = COLUMNS / BLOCK_COLUMNS;
  var product = 0f;
  for (var first = 0u; first < blocks; first += WORKGROUP_SIZE) {
    let block = first + local;
    if (block < blocks) {
      for (var i = 0u; i < BLOCK_VECTORS; i++) {
        let v = block * BLOCK_VECTORS + i;
        let packed = weights[tile_index(expert, blocks * BLOCK_VECTORS, v)];
        for (var q = 0u; q < VECTOR_QUADS; q++) {
          product += dot(quad_values(packed, q), h[first_quad + v * VECTOR_QUADS + q]);
        }
      }
    }
  }
  let inverse = inverse_rms(squares, local);
  let sum = workgroup_sum(product, local);
  if (local == 0) {
    let at = token * (EXPERTS + 1);
    router_logits[at + expert] = sum * inverse + bias[expert];
    if (expert == 0) {
      router_logits[at + EXPERTS] = inverse;
    }
  }
}
