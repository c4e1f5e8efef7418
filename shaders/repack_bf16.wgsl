// Published bfloat16 rows -> tiles of lib/dense_bf16: only the order of 16-byte vectors changes.
//
// Grid: one invocation per vector, flattened. Needs lib/tile, lib/repack.

override COLUMNS: u32 = 2880;

@group(0) @binding(0) var<uniform> params: RepackParams;
@group(0) @binding(1) var<storage, read> rows: array<vec4u>;          // [rows, COLUMNS / 8]
@group(0) @binding(2) var<storage, read_write> weights: array<vec4u>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn repack_bf16(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let vectors = COLUMNS / 8;
  let i = repack_index(workgroup, local);
  if (i >= params.rows * vectors) {
    return;
  }
  let row = params.to_row + i / vectors;
  weights[(row / TILE_ROWS * vectors + i % vectors) * TILE_ROWS + row % TILE_ROWS] = rows[params.from_row * vectors + i];
}
