// ggml's Q8_0: blocks of 32 elements, an f16 scale and 32 int8; value = int8 * scale.
// https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h (block_q8_0)

const Q8_0_BYTES = 34u; // a block's
