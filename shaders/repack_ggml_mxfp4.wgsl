// Published rows in ggml's MXFP4 -> tiles of lib/mxfp4. A block is 17 bytes: the scale byte, then 16 bytes; byte j holds
// column j in the low nibble and column j + 16 in the high one.
// https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h (block_mxfp4)
//
// Grid: one invocation per row and 4 blocks, flattened.
// import: bytes, mxfp4_codes, mxfp4_scales, repack, tile

override COLUMNS: u32 = 2880;

const BLOCK_BYTES = 17u;

@group(0) @binding(0) var<uniform> params: RepackParams;
@group(0) @binding(1) var<storage, read> rows: array<u32>;           // bytes: [rows, COLUMNS / 32, 17]
@group(0) @binding(2) var<storage, read_write> blocks: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> scales: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn repack_ggml_mxfp4(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let block_count = COLUMNS / BLOCK_COLUMNS;
  let quads = (block_count + 3) / 4;
  let i = repack_index(workgroup, local);
  if (i >= params.rows * quads) {
    return;
  }
  let row = params.to_row + i / quads * params.row_step;
  let block = i % quads * 4;
  let count = min(4, block_count - block);
  let first = (params.from_row + i / quads) * block_count + block;
  for (var j = 0u; j < count; j++) {
    let at = (first + j) * BLOCK_BYTES + 1;
    let bytes = vec4u(row_word(at), row_word(at + 4), row_word(at + 8), row_word(at + 12));
    let low = low_nibbles(bytes);
    let high = low_nibbles(bytes >> vec4u(4));
    blocks[tile_index(row, block_count, block + j)] = vec4u(
      placed_codes(low.x | (low.y << 16)), placed_codes(low.z | (low.w << 16)),
      placed_codes(high.x | (high.y << 16)), placed_codes(high.z | (high.w << 16)),
    );
  }
  scales[tile_index(row, quads, i % quads)] = packed_scales(first, count, BLOCK_BYTES);
}

// The low nibbles of each u32's bytes, in its low half.
fn low_nibbles(bytes: vec4u) -> vec4u {
  let nibbles = bytes & vec4u(0x0f0f0f0f);
  let pairs = (nibbles | (nibbles >> vec4u(4))) & vec4u(0x00ff00ff);
  return (pairs | (pairs >> vec4u(8))) & vec4u(0xffff);
}
