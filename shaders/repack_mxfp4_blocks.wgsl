// Published MXFP4 blocks (byte j: column 2j in the low nibble, column 2j + 1 in the high) -> tiles of lib/mxfp4.
//
// Grid: one invocation per block, flattened.
// import: mxfp4_codes, repack, tile

override COLUMNS: u32 = 2880;

@group(0) @binding(0) var<uniform> params: RepackParams;
@group(0) @binding(1) var<storage, read> rows: array<vec4u>;         // [rows, COLUMNS / 32]
@group(0) @binding(2) var<storage, read_write> blocks: array<vec4u>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn repack_mxfp4_blocks(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let block_count = COLUMNS / BLOCK_COLUMNS;
  let i = repack_index(workgroup, local);
  if (i >= params.rows * block_count) {
    return;
  }
  let row = params.to_row + i / block_count * params.row_step;
  let block = rows[params.from_row * block_count + i];
  blocks[tile_index(row, block_count, i % block_count)] = vec4u(
    placed_codes(block.x), placed_codes(block.y), placed_codes(block.z), placed_codes(block.w),
  );
}
