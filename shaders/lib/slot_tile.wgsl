// Up to TILE_SLOTS (token, k) slots that chose the same expert. Slot s is the (s % TOP)-th choice of token s / TOP.

const TILE_SLOTS = 32u;

struct SlotTile {
  expert: u32,
  first: u32, // in sorted_slots
  count: u32,
}
