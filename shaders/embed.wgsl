// x[t] = W[tokens[t]]: token ids -> the residual stream; and h[t], the norm of x[t] but for a factor.
//
// Grid: (1, tokens). One part of the rows of W at a time; tokens of other parts are left alone.
// import: dense, normed_rows, tile

override COLUMNS: u32 = 2880;

const WORKGROUP_SIZE = 128u;
const BLOCK_VECTORS = BLOCK_COLUMNS / (4 * VECTOR_QUADS);
const_assert BLOCK_COLUMNS == 4 * SQUARES; // a vec4f of sums of squares for each block

struct Params {
  first_row: u32, // of the part, a multiple of TILE_ROWS
  rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<vec4u>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> scale: array<vec4f>;   // [COLUMNS], of the first norm
@group(0) @binding(5) var<storage, read_write> x: array<vec4f>; // [tokens, COLUMNS]
@group(0) @binding(6) var<storage, read_write> h: array<vec4f>; // [tokens], lib/normed_rows of COLUMNS

@compute @workgroup_size(WORKGROUP_SIZE)
fn embed(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = tokens[workgroup.y];
  if (token < params.first_row || token >= params.first_row + params.rows) {
    return;
  }
  let tile = (token - params.first_row) / TILE_ROWS;
  let row = token % TILE_ROWS;
  let blocks = COLUMNS / BLOCK_COLUMNS;
  let x_row = workgroup.y * COLUMNS / 4;
  let h_row = workgroup.y * normed_row(COLUMNS) / 4;
  for (var block = local; block < blocks; block += WORKGROUP_SIZE) {
    var squares: vec4f;
    for (var v = 0u; v < BLOCK_VECTORS; v++) {
      let vector = block * BLOCK_VECTORS + v;
      let packed = weights[(tile * blocks * BLOCK_VECTORS + vector) * TILE_ROWS + row];
      let unit = VECTOR_UNIT * vector_scale(tile, vector, row);
      for (var i = 0u; i < VECTOR_QUADS; i++) {
        let quad = v * VECTOR_QUADS + i; // in the block
        let at = block * BLOCK_COLUMNS / 4 + quad;
        let value = quad_values(packed, i) * unit;
        x[x_row + at] = value;
        h[h_row + at] = value * scale[at];
        squares[4 * quad / SQUARES] += dot(value, value);
      }
    }
    h[h_row + COLUMNS / 4 + block] = squares;
  }
}
