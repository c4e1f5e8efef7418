// Last pass of sampling: chooses a token, makes it the next step's input, and advances the step.
//
// temperature 0: the likeliest token, the lowest id among equals. Otherwise p = softmax(logits / temperature), cut to the
// top_k likeliest (equals of the last one stay in), then to the smallest set of those with top_p of their probability, then
// to those with at least min_p of the largest probability. The choice is the token with the highest score (see
// sample_candidates.wgsl); it depends on seed and position alone.
//
// Grid: one workgroup.
// import: cut, keep_best, sampling, step

override VOCABULARY: u32 = 201088;
override STRIPS: u32 = (VOCABULARY + STRIP - 1) / STRIP;

const WORKGROUP_SIZE = 128u;

@group(0) @binding(0) var<uniform> sampling: Sampling;
@group(0) @binding(1) var<storage, read> logits: array<f32>;             // [VOCABULARY]
@group(0) @binding(2) var<storage, read> strips: array<Strip>;           // [STRIPS]
@group(0) @binding(3) var<storage, read_write> found: Found;
@group(0) @binding(4) var<storage, read_write> groups: array<vec4u>;     // [MAX_GROUPS / 4]
@group(0) @binding(5) var<storage, read_write> step: Step;
@group(0) @binding(6) var<storage, read_write> tokens: array<u32>;       // the next step's
@group(0) @binding(7) var<storage, read_write> adjustments: array<Adjustment>; // [VOCABULARY]

@compute @workgroup_size(WORKGROUP_SIZE)
fn sample(@builtin(local_invocation_index) local: u32) {
  var next = VOCABULARY;
  if (sampling.temperature == 0) {
    next = likeliest(local);
  } else {
    if (needs_contenders(VOCABULARY)) {
      let largest = key_value(atomicLoad(&found.largest));
      let contenders = Source(CONTENDERS, atomicLoad(&found.contender_count), LOWEST, largest);
      next = best_above(contenders, LOWEST, NO_LOGIT, local);
    }
    if (has_cut(VOCABULARY)) {
      next = cut(next, local);
    }
  }
  if (local < MAX_GROUPS / 4) {
    groups[local] = vec4u(0);
  }
  if (local == 0) {
    atomicStore(&found.largest, 0);
    atomicStore(&found.bound, 0);
    atomicStore(&found.candidate_count, 0);
    atomicStore(&found.contender_count, 0);
    // If no logit is a number, no token is chosen: VOCABULARY, which is no token's id, says so.
    tokens[0] = next;
    if (next < VOCABULARY) {
      adjustments[next].occurrences = (adjustments[next].occurrences + 2) | 1;
    }
    step.position += step.tokens;
    step.tokens = 1;
    step.output_row = 0;
  }
}

fn likeliest(local: u32) -> u32 {
  var best = LOWEST;
  var token = VOCABULARY;
  for (var i = local; i < STRIPS; i += WORKGROUP_SIZE) {
    if (strips[i].largest > best) {
      best = strips[i].largest;
      token = strips[i].likeliest;
    }
  }
  keep_best(best, token, local);
  return workgroupUniformLoad(&best_tokens[0]);
}
