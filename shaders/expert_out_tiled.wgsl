// out[t, k] = weight[t, k] * (W2 hidden[t, k] + b2) of the k-th chosen expert; for many tokens, grouped by expert.
// expert_sum.wgsl adds them up.
//
// Grid: (ceil(ROWS / PRODUCT_ROWS), MAX_TILES). One part of the experts at a time.
// import: mxfp4, product, slot_tile, tile

override COLUMNS: u32 = 2880;
override ROWS: u32 = 2880; // of one expert

struct Params {
  first_expert: u32, // of the part
  experts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tiles: array<SlotTile>;
@group(0) @binding(2) var<storage, read> sorted_slots: array<u32>;
@group(0) @binding(3) var<storage, read> expert_weights: array<f32>; // [tokens, TOP]
@group(0) @binding(4) var<storage, read> weights: array<vec4u>;
@group(0) @binding(5) var<storage, read> scales: array<u32>;
@group(0) @binding(6) var<storage, read> bias: array<vec2f>;         // [all experts, ROWS / 2]
@group(0) @binding(7) var<storage, read> hidden: array<vec4f>;       // [tokens, TOP, COLUMNS]
@group(0) @binding(8) var<storage, read_write> out: array<vec2f>;    // [tokens, TOP, ROWS / 2]

var<private> expert: u32;

@compute @workgroup_size(PRODUCT_SIZE)
fn expert_out_tiled(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
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
  return sorted_slots[i];
}

fn input_quad(i: u32) -> vec4f {
  return hidden[i];
}

fn output_pair(i: u32, row: u32, values: vec2f) {
  let slot = sorted_slots[i];
  out[(slot * ROWS + row) / 2] = expert_weights[slot] * (values + bias[(expert * ROWS + row) / 2]);
}
