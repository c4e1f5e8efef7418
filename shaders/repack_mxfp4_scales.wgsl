// Published MXFP4 scale bytes, row by row -> tiles of lib/mxfp4, 4 blocks of a row to a u32.
//
// Grid: one invocation per row and 4 blocks, flattened.
// import: mxfp4_scales, repack, tile

override COLUMNS: u32 = 2880;

@group(0) @binding(0) var<uniform> params: RepackParams;
@group(0) @binding(1) var<storage, read> rows: array<u32>;          // bytes: [rows, COLUMNS / 32]
@group(0) @binding(2) var<storage, read_write> scales: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn repack_mxfp4_scales(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let block_count = COLUMNS / BLOCK_COLUMNS;
  let quads = (block_count + 3) / 4;
  let i = repack_index(workgroup, local);
  if (i >= params.rows * quads) {
    return;
  }
  let row = params.to_row + i / quads * params.row_step;
  let block = i % quads * 4;
  scales[tile_index(row, quads, i % quads)] =
    packed_scales((params.from_row + i / quads) * block_count + block, min(4, block_count - block), 1);
}
