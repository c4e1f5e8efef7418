// Joins the splits of attend.wgsl and gives the sink its share of the softmax:
// out = sum_s e^(m_s - m) out_s / (sum_s e^(m_s - m) sum_s + e^(sink - m)), m the largest of all m_s and the sink.
//
// Grid: (HEADS). An invocation joins every 16th split of one quad, as an online softmax; the workgroup then joins those.
// import: attention_splits, head, step

override HEADS: u32 = 64;
override WINDOW: u32 = 0; // 0: no window
override SPLITS: u32 = 64;

const SLICES = 16u; // invocations that share a quad

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> split_out: array<vec4f>;      // [HEADS, SPLITS, 16]
@group(0) @binding(2) var<storage, read> split_stats: array<vec2f>;    // [HEADS, SPLITS], largest score and sum
@group(0) @binding(3) var<storage, read> sinks: array<f32>;            // [HEADS]
@group(0) @binding(4) var<storage, read_write> attended: array<vec4f>; // [HEADS, 16]

var<workgroup> slice_out: array<vec4f, SLICES * HEAD_QUADS>;
var<workgroup> slice_stats: array<vec2f, SLICES>; // largest score and sum

@compute @workgroup_size(SLICES * HEAD_QUADS)
fn attend_reduce(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = workgroup.x;
  let quad = local % HEAD_QUADS;
  let slice = local / HEAD_QUADS;
  let newest = select(step.position, min(step.position, WINDOW - 1), WINDOW > 0);
  let splits = newest / SPLIT_KEYS + 1;
  let base = head * SPLITS;

  var joined = Joined(-3.4e38f, 0, vec4f());
  for (var s = slice; s < splits; s += SLICES) {
    let stats = split_stats[base + s];
    joined = join(joined, Joined(stats.x, stats.y, split_out[(base + s) * HEAD_QUADS + quad]));
  }
  slice_out[local] = joined.out;
  if (quad == 0) {
    slice_stats[slice] = vec2f(joined.largest, joined.sum);
  }
  workgroupBarrier();

  if (slice == 0) {
    joined = join(joined, Joined(sinks[head], 1, vec4f()));
    for (var s = 1u; s < SLICES; s++) {
      let stats = slice_stats[s];
      joined = join(joined, Joined(stats.x, stats.y, slice_out[s * HEAD_QUADS + quad]));
    }
    attended[head * HEAD_QUADS + quad] = joined.out / joined.sum;
  }
}

struct Joined {
  largest: f32,
  sum: f32,
  out: vec4f,
}

fn join(a: Joined, b: Joined) -> Joined {
  let largest = max(a.largest, b.largest);
  let keep = exp(a.largest - largest);
  let factor = exp(b.largest - largest);
  return Joined(largest, a.sum * keep + b.sum * factor, a.out * keep + b.out * factor);
}
