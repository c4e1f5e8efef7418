// The K loop of the tiled expert matmuls: 32 slots of one expert times 32 of its rows, into `product`.
// `source` is [slots or tokens, COLUMNS]; a slot's row of it is slot / SLOTS_PER_ROW.
// Expects the bindings `blocks`, `scales`, `sorted_slots` and `source`.
// import: mxfp4, slot_tile, tile, tile_product

const TILE_TOKENS = TILE_SLOTS;

fn expert_product(slots: SlotTile, tile: u32, slots_per_row: u32, local: u32) {
  let block_count = COLUMNS / BLOCK_COLUMNS;
  for (var b = 0u; b < block_count; b++) {
    for (var i = local; i < STEP_QUADS * TILE_TOKENS; i += PRODUCT_SIZE) {
      let at = i / STEP_QUADS;
      var quad = vec4f();
      if (at < slots.count) {
        let row = sorted_slots[slots.first + at] / slots_per_row;
        quad = source[(row * block_count + b) * STEP_QUADS + i % STEP_QUADS];
      }
      token_tile[i % STEP_QUADS * TILE_TOKENS + at] = quad;
    }
    if (local < TILE_ROWS) {
      let values = block_values(blocks[(tile * block_count + b) * TILE_ROWS + local]);
      let scale = half_scale(scales[(tile * ((block_count + 3) / 4) + b / 4) * TILE_ROWS + local], b);
      for (var q = 0u; q < BLOCK_QUADS; q++) {
        row_tile[q * TILE_ROWS + local] = values[q] * scale;
      }
    }
    workgroupBarrier();
    accumulate_product(local);
    workgroupBarrier();
  }
}
