// Published rows -> tiles of lib/dense_bf16. Bfloat16 stays as it is; other formats round to nearest, ties to even.
//
// Grid: one invocation per 8 columns, flattened.
// import: repack, rows, tile

override COLUMNS: u32 = 2880;

@group(0) @binding(0) var<uniform> params: RepackParams;
@group(0) @binding(1) var<storage, read> rows: array<u32>;            // [rows, COLUMNS] as published
@group(0) @binding(2) var<storage, read_write> weights: array<vec4u>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn repack_bf16(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let vectors = COLUMNS / 8;
  let i = repack_index(workgroup, local);
  if (i >= params.rows * vectors) {
    return;
  }
  let row = params.to_row + i / vectors * params.row_step;
  let quad = 2 * (params.from_row * vectors + i);
  let a = bf16_bits(row_quad(quad));
  let b = bf16_bits(row_quad(quad + 1));
  weights[tile_index(row, vectors, i % vectors)] = vec4u(
    a.x | (a.y << 16), a.z | (a.w << 16), b.x | (b.y << 16), b.z | (b.w << 16),
  );
}

// f32 bits -> bfloat16 bits. By integers, so that subnormals stay; a carry adds to the exponent, as it should.
fn bf16_bits(bits: vec4u) -> vec4u {
  let rounded = (bits + vec4u(0x7fff) + ((bits >> vec4u(16)) & vec4u(1))) >> vec4u(16);
  let is_nan = (bits & vec4u(0x7fffffff)) > vec4u(0x7f800000);
  return select(rounded, (bits >> vec4u(16)) | vec4u(0x40), is_nan);
}
