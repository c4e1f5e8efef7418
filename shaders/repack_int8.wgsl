// Published rows -> tiles of lib/dense_int8.
//
// Grid: one invocation per row and pair of groups, flattened.
// import: int8, repack, tile

override COLUMNS: u32 = 2880;

@group(0) @binding(0) var<uniform> params: RepackParams;
@group(0) @binding(1) var<storage, read> rows: array<u32>;            // as published
@group(0) @binding(2) var<storage, read_write> weights: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> scales: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn repack_int8(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let groups = COLUMNS / BLOCK_COLUMNS;
  let pairs = (groups + 1) / 2;
  let i = repack_index(workgroup, local);
  if (i >= params.rows * pairs) {
    return;
  }
  let from_row = params.from_row + i / pairs;
  let row = params.to_row + i / pairs * params.row_step;
  let pair = i % pairs;

  var pair_scales = 0u;
  for (var g = 0u; g < 2; g++) {
    let group = 2 * pair + g;
    if (group < groups) {
      pair_scales |= repack_group(from_row, row, group) << (16 * g);
    }
  }
  scales[tile_index(row, pairs, pair)] = pair_scales;
}
