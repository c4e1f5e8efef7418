// hidden[t, k] = swiglu(W1 h[t] + b1) of the k-th chosen expert; for many tokens, grouped by expert.
// Rows of W1 alternate: gate, up, gate, up...
//
// Grid: (ceil(ROWS / PRODUCT_ROWS), MAX_TILES). One part of the experts at a time.
// import: mxfp4, product, slot_tile, swiglu, tile

override COLUMNS: u32 = 2880;
override ROWS: u32 = 5760; // of one expert
override TOP: u32 = 4; // experts per token
override LIMIT: f32 = 7;

struct Params {
  first_expert: u32, // of the part
  experts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tiles: array<SlotTile>;
@group(0) @binding(2) var<storage, read> sorted_slots: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<vec4u>;
@group(0) @binding(4) var<storage, read> scales: array<u32>;
@group(0) @binding(5) var<storage, read> bias: array<vec2f>;       // [all experts, ROWS / 2]
@group(0) @binding(6) var<storage, read> h: array<vec4f>;          // [tokens, COLUMNS]
@group(0) @binding(7) var<storage, read_write> hidden: array<f32>; // [tokens, TOP, ROWS / 2]

var<private> expert: u32;

@compute @workgroup_size(PRODUCT_SIZE)
fn expert_swiglu_tiled(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let slots = tiles[workgroup.y];
  if (slots.count == 0 || slots.expert < params.first_expert || slots.expert >= params.first_expert + params.experts) {
    return; // for the whole workgroup
  }
  expert = slots.expert;
  let tiles_of_expert = ROWS / TILE_ROWS;
  let first_tile = (slots.expert - params.first_expert) * tiles_of_expert;
  tile_product(first_tile, tiles_of_expert, workgroup.x, slots.first, slots.count, local);
}

fn input_row(i: u32) -> u32 {
  return sorted_slots[i] / TOP;
}

fn input_quad(i: u32) -> vec4f {
  return h[i];
}

fn output_pair(i: u32, row: u32, values: vec2f) {
  let gate_up = values + bias[(expert * ROWS + row) / 2];
  hidden[(sorted_slots[i] * ROWS + row) / 2] = swiglu(gate_up.x, gate_up.y, LIMIT);
}
