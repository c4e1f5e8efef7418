// Sorts the chosen (token, k) slots of many tokens by expert, and cuts each expert's slots into tiles.
//
// Grid: one workgroup.
// import: slot_tile, step

override EXPERTS: u32 = 32;
override TOP: u32 = 4; // experts per token
override TILE_INPUTS: u32 = 64; // of lib/product_*
override MAX_TILES: u32 = 64;

const WORKGROUP_SIZE = 256u;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> experts: array<u32>;             // [tokens, TOP]
@group(0) @binding(2) var<storage, read_write> sorted_slots: array<u32>;  // [tokens * TOP], slots of one expert together
@group(0) @binding(3) var<storage, read_write> tiles: array<SlotTile>;    // [MAX_TILES]; unused ones have no slots

var<workgroup> counts: array<atomic<u32>, EXPERTS>;
var<workgroup> firsts: array<u32, EXPERTS>;
var<workgroup> tile_firsts: array<u32, EXPERTS>;
var<workgroup> used_tiles: u32;

@compute @workgroup_size(WORKGROUP_SIZE)
fn group_by_expert(@builtin(local_invocation_index) local: u32) {
  let slots = step.tokens * TOP;
  for (var slot = local; slot < slots; slot += WORKGROUP_SIZE) {
    atomicAdd(&counts[experts[slot]], 1u);
  }
  workgroupBarrier();

  if (local == 0) {
    var first = 0u;
    var tile = 0u;
    for (var expert = 0u; expert < EXPERTS; expert++) {
      let count = atomicLoad(&counts[expert]);
      firsts[expert] = first;
      tile_firsts[expert] = tile;
      first += count;
      tile += (count + TILE_INPUTS - 1) / TILE_INPUTS;
    }
    used_tiles = tile;
  }
  workgroupBarrier();

  for (var expert = local; expert < EXPERTS; expert += WORKGROUP_SIZE) {
    let count = atomicLoad(&counts[expert]);
    for (var i = 0u; i * TILE_INPUTS < count; i++) {
      let done = i * TILE_INPUTS;
      tiles[tile_firsts[expert] + i] = SlotTile(expert, firsts[expert] + done, min(TILE_INPUTS, count - done));
    }
  }
  for (var tile = used_tiles + local; tile < MAX_TILES; tile += WORKGROUP_SIZE) {
    tiles[tile] = SlotTile(0, 0, 0);
  }
  workgroupBarrier();

  // The order of slots within an expert is arbitrary; no result depends on it.
  for (var expert = local; expert < EXPERTS; expert += WORKGROUP_SIZE) {
    atomicStore(&counts[expert], 0u);
  }
  workgroupBarrier();
  for (var slot = local; slot < slots; slot += WORKGROUP_SIZE) {
    let expert = experts[slot];
    sorted_slots[firsts[expert] + atomicAdd(&counts[expert], 1u)] = slot;
  }
}
