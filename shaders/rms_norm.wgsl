// y[t] = x[t] / sqrt(mean(x[t]^2) + epsilon) * scale
//
// Grid: (1, tokens). One workgroup per token.
// import: reduce, step

override COLUMNS: u32 = 2880;
override EPSILON: f32 = 1e-5;
override FROM_OUTPUT_ROW: bool = false; // start at step.output_row instead of at the first token
override WORKGROUP_SIZE: u32 = 256;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;       // [tokens, COLUMNS]
@group(0) @binding(2) var<storage, read> scale: array<vec4f>;   // [COLUMNS]
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // [rows of the grid, COLUMNS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn rms_norm(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let quads = COLUMNS / 4;
  let from_row = (workgroup.y + select(0u, step.output_row, FROM_OUTPUT_ROW)) * quads;
  let to_row = workgroup.y * quads;

  var sum = 0f;
  for (var i = local; i < quads; i += WORKGROUP_SIZE) {
    sum += dot(x[from_row + i], x[from_row + i]);
  }
  let inverse_rms = inverseSqrt(workgroup_sum(sum, local) / f32(COLUMNS) + EPSILON);

  for (var i = local; i < quads; i += WORKGROUP_SIZE) {
    y[to_row + i] = x[from_row + i] * inverse_rms * scale[i];
  }
}
