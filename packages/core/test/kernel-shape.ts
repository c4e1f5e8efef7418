import type { KernelShape } from '../src/kernels/shape.ts';
import { parseConfig } from '../src/model/config.ts';
import { kernelShape } from '../src/model/state.ts';
import { huggingFaceConfig, PRESETS } from './config.ts';

/** The shape of gpt-oss-20b with the default options. */
export const SHAPE_20B: KernelShape = kernelShape(
  parseConfig(JSON.parse(huggingFaceConfig(PRESETS['20b']))),
  { contextLength: 8192, chunkLength: 512, dense: 'int8', kvCache: 'f16', prefill: 'float' },
);
