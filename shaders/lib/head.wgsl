// The heads of attention: the model family has no other size.

const HEAD_SIZE = 64u;
const HEAD_QUADS = HEAD_SIZE / 4;
const SCORE_SCALE = 0.125f; // 1 / sqrt(HEAD_SIZE)
