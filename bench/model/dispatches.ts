import { planLoad } from '../../packages/core/src/engine/load/plan.ts';
import { Buffers } from '../../packages/core/src/gpu/buffers.ts';
import { Gpu } from '../../packages/core/src/gpu/device.ts';
import { limitGrids } from '../../packages/core/src/gpu/recorder.ts';
import { Operations } from '../../packages/core/src/kernels/operations.ts';
import { KvCache } from '../../packages/core/src/model/kv-cache.ts';
import { createRuntime } from '../../packages/core/src/model/runtime.ts';
import { allocateWeights } from '../../packages/core/src/model/weights.ts';
import { huggingFaceConfig, PRESETS } from '../../packages/core/test/config.ts';
import { type KernelCost, kernelCost } from '../stages/kernel-cost.ts';
import { placesOf } from '../stages/places.ts';
import { planningDevice, threadsOf } from './planning-device.ts';

/** Dispatches of a token that are alike: the same kernel on the same part of a layer. */
export interface DispatchGroup extends KernelCost {
  readonly kernel: string;
  /** As in `mlp.mlp1`; attention says whether its layers are sliding or full. */
  readonly part: string;
  /** How many there are in a token. */
  readonly count: number;
  /** Workgroups of one. */
  readonly workgroups: number;
  /** Invocations of a workgroup. */
  readonly threads: number;
}

/** Bindings of current desktop GPUs hold a whole matrix. */
const BINDING_BYTES = 2 ** 32 - 4;

/**
 * Plans the dispatches of one decoded token of gpt-oss-20b, as the engine records them.
 *
 * @param depth - Tokens before it.
 * @returns Groups in order of first appearance. Bytes and flops are those of one dispatch.
 */
export async function planDecode(depth: number): Promise<DispatchGroup[]> {
  const contextLength = 32_768;
  const gpu = new Gpu(planningDevice(BINDING_BYTES));
  const buffers = new Buffers(gpu, 'plan');
  const { config, shape } = planLoad(JSON.parse(huggingFaceConfig(PRESETS['20b'])), {
    contextLength,
  });
  const { weights } = allocateWeights(config, buffers, shape.dense, BINDING_BYTES);
  const runtime = await createRuntime(gpu, buffers, { config, shape }, weights);
  const { activations, kernels, model } = runtime;
  const kv = new KvCache(gpu, config, shape, contextLength);
  const { logits, sampling, tokens } = activations;
  const all = [
    ...model.forward(kv, 1),
    ...model.unembed(1),
    ...new Operations(kernels, 1).sample(logits, sampling, tokens),
  ];
  const reach = 2 ** Math.ceil(Math.log2(depth + 1)); // as the engine limits grids
  const places = placesOf(weights, config.slidingLayers);
  const groups = new Map<string, DispatchGroup>();
  for (const { label, pipeline, workgroups } of limitGrids(all, reach)) {
    const { part, isSliding } = places.get(label) ?? { part: label, isSliding: false };
    const kernel = pipeline.label;
    const span = part === 'attn' ? (isSliding ? ', sliding' : ', full') : '';
    const key = `${kernel} ${part}${span}`;
    const before = groups.get(key);
    groups.set(key, {
      ...kernelCost(shape, { kernel, part, isSliding, tokens: 1, depth }),
      kernel,
      part: part + span,
      count: (before?.count ?? 0) + 1,
      workgroups: workgroups[0] * workgroups[1] * workgroups[2],
      threads: threadsOf(pipeline),
    });
  }
  return [...groups.values()];
}
