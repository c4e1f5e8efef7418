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
  blocks[tile_index(row, block_count, i % block_count)] = repack_nibbles(block);
}

// In each u32: columns 0..3 to the low nibbles of the bytes, 4..7 to the high ones; negative zeros to zeros.
fn repack_nibbles(word: vec4u) -> vec4u {
  var packed = vec4u();
  for (var column = 0u; column < 8; column++) {
    let code = (word >> vec4u(4 * column)) & vec4u(15);
    packed |= code << vec4u(8 * (column % 4) + 4 * (column / 4));
  }
  return without_negative_zeros(packed);
}
