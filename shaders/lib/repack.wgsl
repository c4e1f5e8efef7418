// Re-layout of a range of rows at load. The grid is flattened over two dimensions, since one allows at most 65535.

const WORKGROUP_SIZE = 64u;
const GRID_WIDTH = 32768u;

struct RepackParams {
  from_row: u32, // in the staged rows
  to_row: u32,   // in the matrix part
  rows: u32,
  row_step: u32, // from one row to the next in the matrix part: 2 if gate and up rows are apart in the file
}

fn repack_index(workgroup: vec3u, local: u32) -> u32 {
  return (workgroup.y * GRID_WIDTH + workgroup.x) * WORKGROUP_SIZE + local;
}
