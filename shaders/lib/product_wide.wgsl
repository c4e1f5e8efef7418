// The product of many inputs with a tile of rows, from workgroup memory, 16 columns at a time: an invocation makes
// 4 inputs x 4 rows. See lib/product_narrow for few inputs, and for what both expect.
// import: tile

const TILE_INPUTS = 64u; // the most inputs of a workgroup
const PRODUCT_ROWS = 64u; // weight rows of a workgroup
const PRODUCT_SIZE = 256u; // invocations of a workgroup: one for each vec4f of inputs, and of rows, in a step

const STEP_QUADS = 4u; // vec4f of columns in a step
const STRIDE = 66u; // entries of a quad: neighbours that store different quads use different banks

var<workgroup> input_tile: array<vec4f, STEP_QUADS * STRIDE>; // [quad, input]
var<workgroup> row_tile: array<vec4f, STEP_QUADS * STRIDE>;   // [quad, row], even rows before odd ones

// Of input i * 16 + local / 16 with rows r, r + 1, r + 32 and r + 33, where r = local % 16 * 2.
var<private> sum0: vec4f;
var<private> sum1: vec4f;
var<private> sum2: vec4f;
var<private> sum3: vec4f;

// As in lib/product_narrow. Every invocation must call it, in uniform control flow.
fn tile_product(first_tile: u32, tiles: u32, group: u32, first: u32, count: u32, local: u32) {
  let quad = local % STEP_QUADS;
  let entry = local / STEP_QUADS;
  let row = entry % 32 * 2 + entry / 32;
  let group_tile = group * (PRODUCT_ROWS / TILE_ROWS);
  // The last input and the last tile stand for those beyond.
  let input = input_row(first + min(entry, count - 1)) * (COLUMNS / 4);
  let tile = first_tile + min(group_tile + row / TILE_ROWS, tiles - 1);
  let first_vector = tile * (COLUMNS / (4 * VECTOR_QUADS)) * TILE_ROWS + row % TILE_ROWS;
  let at = quad * STRIDE + entry;

  for (var q = 0u; q < COLUMNS / 4; q++) {
    if (q % STEP_QUADS == 0) {
      let i = q + quad;
      let v = i / VECTOR_QUADS;
      let x = input_quad(input + i);
      let vector = weights[first_vector + v * TILE_ROWS];
      let scale = vector_scale(tile, v, row % TILE_ROWS);
      workgroupBarrier();
      input_tile[at] = x;
      row_tile[at] = quad_values(vector, i % VECTOR_QUADS) * VECTOR_UNIT * scale;
      workgroupBarrier();
    }
    accumulate_quad(q, count, local);
  }

  let output_row = group_tile * TILE_ROWS + local % 16 * 2;
  let output_input = local / 16;
  output_sums(output_input, output_row, first, count, tiles, sum0);
  output_sums(output_input + 16, output_row, first, count, tiles, sum1);
  output_sums(output_input + 32, output_row, first, count, tiles, sum2);
  output_sums(output_input + 48, output_row, first, count, tiles, sum3);
}

fn output_sums(input: u32, row: u32, first: u32, count: u32, tiles: u32, sums: vec4f) {
  if (input < count) {
    output_pair(first + input, row, sums.xy);
    if (row + 32 < tiles * TILE_ROWS) {
      output_pair(first + input, row + 32, sums.zw);
    }
  }
}

// `%` lets compilers prove that indexes are in bounds, and omit the checks.
fn accumulate_quad(q: u32, count: u32, local: u32) {
  let row = q % STEP_QUADS * STRIDE + local % 16;
  let w0 = row_tile[row];
  let w1 = row_tile[row + 32];
  let w2 = row_tile[row + 16];
  let w3 = row_tile[row + 48];
  let input = q % STEP_QUADS * STRIDE + local / 16 % 16;
  let x0 = input_tile[input];
  sum0 += vec4f(dot(x0, w0), dot(x0, w1), dot(x0, w2), dot(x0, w3));
  if (count > 16) {
    let x1 = input_tile[input + 16];
    sum1 += vec4f(dot(x1, w0), dot(x1, w1), dot(x1, w2), dot(x1, w3));
  }
  if (count > 32) {
    let x2 = input_tile[input + 32];
    sum2 += vec4f(dot(x2, w0), dot(x2, w1), dot(x2, w2), dot(x2, w3));
  }
  if (count > 48) {
    let x3 = input_tile[input + 48];
    sum3 += vec4f(dot(x3, w0), dot(x3, w1), dot(x3, w2), dot(x3, w3));
  }
}
