// floats = the f16 of `bits`, as lib/halves_native converts them: whether a GPU keeps subnormals, only it can tell.
//
// Grid: one invocation per pair of f16.
// import: halves

@group(0) @binding(0) var<storage, read> bits: array<u32>;
@group(0) @binding(1) var<storage, read_write> floats: array<vec2f>;

@compute @workgroup_size(64)
fn probe_halves(@builtin(global_invocation_id) invocation: vec3u) {
  floats[invocation.x] = halves(bits[invocation.x]);
}
