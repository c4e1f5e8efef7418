// sums += two checksums of words, which depend on the place of each word, modulo 2^32.
//
// Grid: any number of workgroups, which share the words.

const WORKGROUP_SIZE = 256u;

@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> sums: array<atomic<u32>>; // [2]

// Spreads each bit over all others: one to one.
fn mixed(word: u32) -> u32 {
  let a = (word ^ (word >> 16)) * 0x85ebca6b;
  let b = (a ^ (a >> 13)) * 0xc2b2ae35;
  return b ^ (b >> 16);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn checksum(
  @builtin(global_invocation_id) invocation: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  var sum: vec2u;
  for (var i = invocation.x; i < arrayLength(&words); i += workgroups.x * WORKGROUP_SIZE) {
    let word = mixed(words[i] + mixed(i + 1));
    sum += vec2u(word, mixed(word + 1));
  }
  atomicAdd(&sums[0], sum.x);
  atomicAdd(&sums[1], sum.y);
}
