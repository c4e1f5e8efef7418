// x[t] = W[tokens[t]]: token ids -> the residual stream.
//
// Grid: (1, tokens). One part of the rows of W at a time; tokens of other parts are left alone.
// import: dense, tile

override COLUMNS: u32 = 2880;

const WORKGROUP_SIZE = 128u;

struct Params {
  first_row: u32, // of the part, a multiple of TILE_ROWS
  rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<vec4u>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4f>; // [tokens, COLUMNS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn embed(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = tokens[workgroup.y];
  if (token < params.first_row || token >= params.first_row + params.rows) {
    return;
  }
  let tile = (token - params.first_row) / TILE_ROWS;
  let row = token % TILE_ROWS;
  let vectors = COLUMNS / (4 * VECTOR_QUADS);
  for (var v = local; v < vectors; v += WORKGROUP_SIZE) {
    let values = vector_values(weights[(tile * vectors + v) * TILE_ROWS + row]);
    let scale = vector_scale(tile, v, row);
    for (var i = 0u; i < VECTOR_QUADS; i++) {
      x[workgroup.y * COLUMNS / 4 + v * VECTOR_QUADS + i] = values[i] * VECTOR_UNIT * scale;
    }
  }
}
