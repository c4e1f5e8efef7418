// Up to TILE_INPUTS (token, k) slots that chose the same expert. Slot s is the (s % TOP)-th choice of token s / TOP.

struct SlotTile {
  expert: u32,
  first: u32, // in sorted_slots
  count: u32,
}
