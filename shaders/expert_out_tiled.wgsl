// out[t, k] = weight[t, k] * (W2 hidden[t, k] + b2) of the k-th chosen expert; for many tokens, grouped by expert.
// expert_sum.wgsl adds them up.
//
// Grid: (tiles of an expert, MAX_TILES). One part of the experts at a time.
// import: mxfp4, slot_tile, tile, tile_product

override COLUMNS: u32 = 2880;
override ROWS: u32 = 2880; // of one expert

const TILE_TOKENS = TILE_SLOTS; // for lib/tile_product

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
@group(0) @binding(6) var<storage, read> bias: array<f32>;           // [all experts, ROWS]
@group(0) @binding(7) var<storage, read> hidden: array<vec4f>;       // [tokens, TOP, COLUMNS]
@group(0) @binding(8) var<storage, read_write> out: array<f32>;      // [tokens, TOP, ROWS]

@compute @workgroup_size(PRODUCT_SIZE)
fn expert_out_tiled(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let slots = tiles[workgroup.y];
  if (slots.count == 0 || slots.expert < params.first_expert || slots.expert >= params.first_expert + params.experts) {
    return; // for the whole workgroup
  }
  let tile = (slots.expert - params.first_expert) * (ROWS / TILE_ROWS) + workgroup.x;
  tile_product(tile, slots.first, slots.count, local);

  for (var i = 0u; i < 4; i++) {
    let at = product_token(local) + i * (TILE_TOKENS / 4);
    if (at < slots.count) {
      let slot = sorted_slots[slots.first + at];
      for (var j = 0u; j < 4; j++) {
        let row = workgroup.x * TILE_ROWS + product_row(local) + j % 2 + j / 2 * 16;
        out[slot * ROWS + row] = expert_weights[slot] * (product[i][j] + bias[slots.expert * ROWS + row]);
      }
    }
  }
}

fn input_row(i: u32) -> u32 {
  return sorted_slots[i];
}

fn input_quad(i: u32) -> vec4f {
  return hidden[i];
}
