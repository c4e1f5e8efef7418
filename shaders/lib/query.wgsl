// Query heads, four at a time, side by side: a matrix times a quad of a key is that quad's share of four scores.
// Expects the binding `projected`, and the overrides HEADS and KV_HEADS.
// import: head

override GROUP: u32 = HEADS / KV_HEADS;   // query heads that share a key head
override FOURS: u32 = (GROUP + 3) / 4;    // of those; spare heads of the last four repeat the last head and write nothing

// One quad of four query heads of a token, a column for each dimension.
fn query_matrix(token: u32, kv_head: u32, four: u32, quad: u32) -> mat4x4f {
  return transpose(mat4x4f(
    query_quad(token, kv_head, four * 4, quad),
    query_quad(token, kv_head, four * 4 + 1, quad),
    query_quad(token, kv_head, four * 4 + 2, quad),
    query_quad(token, kv_head, four * 4 + 3, quad),
  ));
}

fn query_quad(token: u32, kv_head: u32, i: u32, quad: u32) -> vec4f {
  let head = kv_head * GROUP + min(i, GROUP - 1);
  return projected[(token * (HEADS + 2 * KV_HEADS) + head) * HEAD_QUADS + quad] * SCORE_SCALE;
}
