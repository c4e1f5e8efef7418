// Joins the splits of attend.wgsl and gives the sink its share of the softmax:
// out = sum_s e^(m_s - m) out_s / (sum_s e^(m_s - m) sum_s + e^(sink - m)), m the largest of all m_s and the sink.
//
// Grid: (ceil(HEADS * HEAD_QUADS / WORKGROUP_SIZE)). An invocation makes four dimensions of one head.
// import: attention_splits, head, step

override HEADS: u32 = 64;
override WINDOW: u32 = 0; // 0: no window
override SPLITS: u32 = 64;

const WORKGROUP_SIZE = 64u;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> split_out: array<vec4f>;      // [HEADS, SPLITS, 16]
@group(0) @binding(2) var<storage, read> split_stats: array<vec2f>;    // [HEADS, SPLITS], largest score and sum
@group(0) @binding(3) var<storage, read> sinks: array<f32>;            // [HEADS]
@group(0) @binding(4) var<storage, read_write> attended: array<vec4f>; // [HEADS, 16]

@compute @workgroup_size(WORKGROUP_SIZE)
fn attend_reduce(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = workgroup.x * (WORKGROUP_SIZE / HEAD_QUADS) + local / HEAD_QUADS;
  let quad = local % HEAD_QUADS;
  if (head >= HEADS) {
    return;
  }
  var keys = step.position + 1;
  if (WINDOW > 0) {
    keys = min(keys, WINDOW);
  }
  let splits = (keys + SPLIT_KEYS - 1) / SPLIT_KEYS;
  let base = head * SPLITS;

  var largest = sinks[head];
  for (var s = 0u; s < splits; s++) {
    largest = max(largest, split_stats[base + s].x);
  }
  var sum = exp(sinks[head] - largest);
  var out = vec4f();
  for (var s = 0u; s < splits; s++) {
    let factor = exp(split_stats[base + s].x - largest);
    sum += factor * split_stats[base + s].y;
    out += factor * split_out[(base + s) * HEAD_QUADS + quad];
  }
  attended[head * HEAD_QUADS + quad] = out / sum;
}
