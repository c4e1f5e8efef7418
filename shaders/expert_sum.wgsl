// x[t] += sum_k out[t, k]
//
// Grid: (ceil(COLUMNS / 4 / WORKGROUP_SIZE), tokens).

override COLUMNS: u32 = 2880;
override TOP: u32 = 4; // experts per token

const WORKGROUP_SIZE = 64u;

@group(0) @binding(0) var<storage, read> out: array<vec4f>;     // [tokens, TOP, COLUMNS]
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>; // [tokens, COLUMNS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn expert_sum(@builtin(global_invocation_id) invocation: vec3u) {
  let quads = COLUMNS / 4;
  if (invocation.x >= quads) {
    return;
  }
  let at = invocation.y * quads + invocation.x;
  var sum = x[at];
  for (var k = 0u; k < TOP; k++) {
    sum += out[(invocation.y * TOP + k) * quads + invocation.x];
  }
  x[at] = sum;
}
