// hidden[t, k] = swiglu(W1 h[t] + b1) of the k-th chosen expert; for many tokens, grouped by expert.
// Rows of W1 alternate: gate, up, gate, up...
//
// Grid: (tiles of an expert, MAX_TILES). One part of the experts at a time.
// import: mxfp4, slot_tile, swiglu, tile, tile_product

override COLUMNS: u32 = 2880;
override ROWS: u32 = 5760; // of one expert
override TOP: u32 = 4; // experts per token
override LIMIT: f32 = 7;

const TILE_TOKENS = TILE_SLOTS; // for lib/tile_product

struct Params {
  first_expert: u32, // of the part
  experts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tiles: array<SlotTile>;
@group(0) @binding(2) var<storage, read> sorted_slots: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<vec4u>;
@group(0) @binding(4) var<storage, read> scales: array<u32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;         // [all experts, ROWS]
@group(0) @binding(6) var<storage, read> h: array<vec4f>;          // [tokens, COLUMNS]
@group(0) @binding(7) var<storage, read_write> hidden: array<f32>; // [tokens, TOP, ROWS / 2]

@compute @workgroup_size(PRODUCT_SIZE)
fn expert_swiglu_tiled(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
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
      for (var pair = 0u; pair < 2; pair++) {
        let row = workgroup.x * TILE_ROWS + product_row(local) + pair * 16;
        let b = slots.expert * ROWS + row;
        hidden[(slot * ROWS + row) / 2] =
          swiglu(product[i][2 * pair] + bias[b], product[i][2 * pair + 1] + bias[b + 1], LIMIT);
      }
    }
  }
}

fn input_row(i: u32) -> u32 {
  return sorted_slots[i] / TOP;
}

fn input_quad(i: u32) -> vec4f {
  return h[i];
}
