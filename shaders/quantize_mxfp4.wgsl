// Published rows or columns of numbers -> tiles of lib/mxfp4. In each block of 32 columns the scale is the power of two
// 2^(floor(log2(max |x|)) - 2), or twice that if the squared error is less; values round to the nearest e2m1, ties to the
// even code, and values beyond 6 scales become 6. Numbers that are MXFP4 already stay exactly the same.
//
// Grid: one invocation per block, flattened.
// import: mxfp4_codes, repack, rows, tile

override COLUMNS: u32 = 2880;
override ROWS: u32 = 5760;           // of one expert; matters only if IS_TRANSPOSED
override IS_TRANSPOSED: bool = true; // `rows` holds [experts, COLUMNS, ROWS], and params count its rows: whole blocks

@group(0) @binding(0) var<uniform> params: RepackParams;
@group(0) @binding(1) var<storage, read> rows: array<u32>;           // as published
@group(0) @binding(2) var<storage, read_write> blocks: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> scales: array<atomic<u32>>; // all bytes 0 before

@compute @workgroup_size(WORKGROUP_SIZE)
fn quantize_mxfp4(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let block_count = COLUMNS / BLOCK_COLUMNS;
  let i = repack_index(workgroup, local);
  var row: u32;
  var block: u32;
  var first: u32; // element of the staged rows
  var stride: u32;
  if (IS_TRANSPOSED) {
    if (i >= params.rows / BLOCK_COLUMNS * ROWS) {
      return;
    }
    let flat_block = params.to_row / BLOCK_COLUMNS + i / ROWS;
    row = flat_block / block_count * ROWS + i % ROWS;
    block = flat_block % block_count;
    first = (params.from_row + i / ROWS * BLOCK_COLUMNS) * ROWS + i % ROWS;
    stride = ROWS;
  } else {
    if (i >= params.rows * block_count) {
      return;
    }
    row = params.to_row + i / block_count * params.row_step;
    block = i % block_count;
    first = (params.from_row * block_count + i) * BLOCK_COLUMNS;
    stride = 1;
  }

  var x: array<f32, BLOCK_COLUMNS>;
  var largest = 0f;
  for (var j = 0u; j < BLOCK_COLUMNS; j++) {
    let element = first + j * stride;
    x[j] = bitcast<f32>(row_quad(element / 4)[element % 4]);
    largest = max(largest, abs(x[j]));
  }
  // The biased exponent of f32 less 2. Blocks below 2^-123 become zero: bytes 0 and 1 read as zero anyway.
  let exponent = (bitcast<u32>(largest) >> 23) & 0xff;
  var scale = 0u;
  var packed = vec4u();
  if (exponent > 3) {
    scale = exponent - 2;
    // Squared errors are in units of the squared scale.
    if (4 * squared_error(&x, scale + 1) < squared_error(&x, scale)) {
      scale++;
    }
    for (var j = 0u; j < BLOCK_COLUMNS; j++) {
      packed[j / 8] |= placed_code(e2m1_code(x[j] * inverse_scale(scale)), j % 8);
    }
  }
  let quads = (block_count + 3) / 4;
  blocks[tile_index(row, block_count, block)] = packed;
  atomicOr(&scales[tile_index(row, quads, block / 4)], scale << (8 * (block % 4)));
}

// 2^(127 - byte): a power of two, so that products with it are exact.
fn inverse_scale(byte: u32) -> f32 {
  return bitcast<f32>((254 - byte) << 23);
}

fn squared_error(x: ptr<function, array<f32, BLOCK_COLUMNS>>, byte: u32) -> f32 {
  var sum = 0f;
  for (var j = 0u; j < BLOCK_COLUMNS; j++) {
    let value = abs((*x)[j]) * inverse_scale(byte);
    let code = e2m1_code(value);
    // A code below 2 is worth half of itself; the others 2^(code / 2 - 1), and half as much again if odd.
    let magnitude = select(f32((2 + (code & 1)) << (code / 2)) / 4, f32(code) / 2, code < 2);
    let difference = value - magnitude;
    sum += difference * difference;
  }
  return sum;
}

// The nearest of 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives, ties to the even code; never negative zero.
fn e2m1_code(value: f32) -> u32 {
  let a = abs(value);
  let code = u32(a > 0.25) + u32(a >= 0.75) + u32(a > 1.25) + u32(a >= 1.75) + u32(a > 2.5) + u32(a >= 3.5) + u32(a > 5);
  return code + select(0u, 8u, value < 0 && code > 0);
}
