// Rows that await their norm, for few tokens: x * scale, then the sums of the squares of every SQUARES numbers of x.
// Who multiplies such a row multiplies its products by inverse_rms(x), too (lib/inverse_rms).

const SQUARES = 8u;

// The length of a row of so many columns.
fn normed_row(columns: u32) -> u32 {
  return columns + columns / SQUARES;
}
