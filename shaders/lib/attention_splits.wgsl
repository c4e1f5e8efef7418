// Decode attention is split over the keys: a workgroup of attend.wgsl covers one split, attend_reduce.wgsl joins them.

const SPLIT_KEYS = 128u; // a split's keys
