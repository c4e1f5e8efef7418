import attend from '../../../../shaders/attend.wgsl?raw';
import attendReduce from '../../../../shaders/attend_reduce.wgsl?raw';
import attendTiled from '../../../../shaders/attend_tiled.wgsl?raw';
import embed from '../../../../shaders/embed.wgsl?raw';
import expertOut from '../../../../shaders/expert_out.wgsl?raw';
import expertOutTiled from '../../../../shaders/expert_out_tiled.wgsl?raw';
import expertSum from '../../../../shaders/expert_sum.wgsl?raw';
import expertSwiglu from '../../../../shaders/expert_swiglu.wgsl?raw';
import expertSwigluTiled from '../../../../shaders/expert_swiglu_tiled.wgsl?raw';
import groupByExpert from '../../../../shaders/group_by_expert.wgsl?raw';
import append from '../../../../shaders/lib/append.wgsl?raw';
import bytes from '../../../../shaders/lib/bytes.wgsl?raw';
import denseBf16 from '../../../../shaders/lib/dense_bf16.wgsl?raw';
import denseInt8 from '../../../../shaders/lib/dense_int8.wgsl?raw';
import expertTile from '../../../../shaders/lib/expert_tile.wgsl?raw';
import f16 from '../../../../shaders/lib/f16.wgsl?raw';
import int8Q8 from '../../../../shaders/lib/int8_q8_0.wgsl?raw';
import int8Quantized from '../../../../shaders/lib/int8_quantized.wgsl?raw';
import keepBest from '../../../../shaders/lib/keep_best.wgsl?raw';
import kvF16 from '../../../../shaders/lib/kv_f16.wgsl?raw';
import kvF32 from '../../../../shaders/lib/kv_f32.wgsl?raw';
import mxfp4 from '../../../../shaders/lib/mxfp4.wgsl?raw';
import mxfp4Codes from '../../../../shaders/lib/mxfp4_codes.wgsl?raw';
import mxfp4Scales from '../../../../shaders/lib/mxfp4_scales.wgsl?raw';
import random from '../../../../shaders/lib/random.wgsl?raw';
import reduce from '../../../../shaders/lib/reduce.wgsl?raw';
import repack from '../../../../shaders/lib/repack.wgsl?raw';
import ropeLibrary from '../../../../shaders/lib/rope.wgsl?raw';
import rowsBf16 from '../../../../shaders/lib/rows_bf16.wgsl?raw';
import rowsF16 from '../../../../shaders/lib/rows_f16.wgsl?raw';
import rowsF32 from '../../../../shaders/lib/rows_f32.wgsl?raw';
import rowsQ8 from '../../../../shaders/lib/rows_q8_0.wgsl?raw';
import sampling from '../../../../shaders/lib/sampling.wgsl?raw';
import slotTile from '../../../../shaders/lib/slot_tile.wgsl?raw';
import step from '../../../../shaders/lib/step.wgsl?raw';
import swiglu from '../../../../shaders/lib/swiglu.wgsl?raw';
import tile from '../../../../shaders/lib/tile.wgsl?raw';
import tileProduct from '../../../../shaders/lib/tile_product.wgsl?raw';
import linear from '../../../../shaders/linear.wgsl?raw';
import linearTiled from '../../../../shaders/linear_tiled.wgsl?raw';
import qkv from '../../../../shaders/qkv.wgsl?raw';
import quantizeMxfp4 from '../../../../shaders/quantize_mxfp4.wgsl?raw';
import repackBf16 from '../../../../shaders/repack_bf16.wgsl?raw';
import repackGgmlMxfp4 from '../../../../shaders/repack_ggml_mxfp4.wgsl?raw';
import repackInt8 from '../../../../shaders/repack_int8.wgsl?raw';
import repackMxfp4Blocks from '../../../../shaders/repack_mxfp4_blocks.wgsl?raw';
import repackMxfp4Scales from '../../../../shaders/repack_mxfp4_scales.wgsl?raw';
import rmsNorm from '../../../../shaders/rms_norm.wgsl?raw';
import rope from '../../../../shaders/rope.wgsl?raw';
import route from '../../../../shaders/route.wgsl?raw';
import sample from '../../../../shaders/sample.wgsl?raw';
import sampleStrips from '../../../../shaders/sample_strips.wgsl?raw';
import type { KernelSource, ShaderFile } from '../gpu/kernel.ts';

/** The name of a kernel: its file's, and its entry point's. */
export type KernelName =
  | 'attend'
  | 'attend_reduce'
  | 'attend_tiled'
  | 'embed'
  | 'expert_out'
  | 'expert_out_tiled'
  | 'expert_sum'
  | 'expert_swiglu'
  | 'expert_swiglu_tiled'
  | 'group_by_expert'
  | 'linear'
  | 'linear_tiled'
  | 'qkv'
  | 'quantize_mxfp4'
  | 'repack_bf16'
  | 'repack_ggml_mxfp4'
  | 'repack_int8'
  | 'repack_mxfp4_blocks'
  | 'repack_mxfp4_scales'
  | 'rms_norm'
  | 'rope'
  | 'route'
  | 'sample'
  | 'sample_strips';

/** The name of a file of `shaders/lib`. */
export type LibraryName =
  | 'append'
  | 'bytes'
  | 'dense_bf16'
  | 'dense_int8'
  | 'expert_tile'
  | 'f16'
  | 'int8_q8_0'
  | 'int8_quantized'
  | 'keep_best'
  | 'kv_f16'
  | 'kv_f32'
  | 'mxfp4'
  | 'mxfp4_codes'
  | 'mxfp4_scales'
  | 'random'
  | 'reduce'
  | 'repack'
  | 'rope'
  | 'rows_bf16'
  | 'rows_f16'
  | 'rows_f32'
  | 'rows_q8_0'
  | 'sampling'
  | 'slot_tile'
  | 'step'
  | 'swiglu'
  | 'tile'
  | 'tile_product';

const KERNELS: Readonly<Record<KernelName, string>> = {
  attend,
  attend_reduce: attendReduce,
  attend_tiled: attendTiled,
  embed,
  expert_out: expertOut,
  expert_out_tiled: expertOutTiled,
  expert_sum: expertSum,
  expert_swiglu: expertSwiglu,
  expert_swiglu_tiled: expertSwigluTiled,
  group_by_expert: groupByExpert,
  linear,
  linear_tiled: linearTiled,
  qkv,
  quantize_mxfp4: quantizeMxfp4,
  repack_bf16: repackBf16,
  repack_ggml_mxfp4: repackGgmlMxfp4,
  repack_int8: repackInt8,
  repack_mxfp4_blocks: repackMxfp4Blocks,
  repack_mxfp4_scales: repackMxfp4Scales,
  rms_norm: rmsNorm,
  rope,
  route,
  sample,
  sample_strips: sampleStrips,
};

const LIBRARIES: Readonly<Record<LibraryName, string>> = {
  append,
  bytes,
  dense_bf16: denseBf16,
  dense_int8: denseInt8,
  expert_tile: expertTile,
  f16,
  int8_q8_0: int8Q8,
  int8_quantized: int8Quantized,
  keep_best: keepBest,
  kv_f16: kvF16,
  kv_f32: kvF32,
  mxfp4,
  mxfp4_codes: mxfp4Codes,
  mxfp4_scales: mxfp4Scales,
  random,
  reduce,
  repack,
  rope: ropeLibrary,
  rows_bf16: rowsBf16,
  rows_f16: rowsF16,
  rows_f32: rowsF32,
  rows_q8_0: rowsQ8,
  sampling,
  slot_tile: slotTile,
  step,
  swiglu,
  tile,
  tile_product: tileProduct,
};

/** Puts a kernel together from its file and the libraries that its head comment names. */
export function kernelSource(
  name: KernelName,
  libraries: readonly LibraryName[],
  constants: Readonly<Record<string, number>> = {},
): KernelSource {
  const files: ShaderFile[] = [
    { path: `${name}.wgsl`, wgsl: KERNELS[name] },
    ...libraries.map((library) => ({ path: `lib/${library}.wgsl`, wgsl: LIBRARIES[library] })),
  ];
  return { entryPoint: name, files, constants };
}
