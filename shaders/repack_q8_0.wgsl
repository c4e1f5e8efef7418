// Published rows in ggml's Q8_0 (lib/rows_q8_0) -> tiles of lib/dense_int8, which hold the same numbers: nothing is rounded.
//
// Grid: one invocation per row and pair of groups, flattened. Needs lib/tile, lib/repack, lib/bytes.

override COLUMNS: u32 = 2880;

const BLOCK_BYTES = 34u;

@group(0) @binding(0) var<uniform> params: RepackParams;
@group(0) @binding(1) var<storage, read> rows: array<u32>;            // bytes: [rows, COLUMNS / 32, 34]
@group(0) @binding(2) var<storage, read_write> weights: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> scales: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn repack_q8_0(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let groups = COLUMNS / 32;
  let pairs = (groups + 1) / 2;
  let i = repack_index(workgroup, local);
  if (i >= params.rows * pairs) {
    return;
  }
  let row = params.to_row + i / pairs * params.row_step;
  let pair = i % pairs;

  var pair_scales = 0u;
  for (var g = 0u; g < 2; g++) {
    let group = 2 * pair + g;
    if (group < groups) {
      let block = ((params.from_row + i / pairs) * groups + group) * BLOCK_BYTES;
      pair_scales |= (row_word(block) & 0xffff) << (16 * g);
      for (var v = 0u; v < 2; v++) {
        let at = block + 2 + 16 * v;
        weights[(row / TILE_ROWS * (COLUMNS / 16) + 2 * group + v) * TILE_ROWS + row % TILE_ROWS] =
          vec4u(row_word(at), row_word(at + 4), row_word(at + 8), row_word(at + 12));
      }
    }
  }
  scales[(row / TILE_ROWS * pairs + pair) * TILE_ROWS + row % TILE_ROWS] = pair_scales;
}
