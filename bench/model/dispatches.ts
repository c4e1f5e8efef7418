import { planLoad } from '../../packages/core/src/engine/load/plan.ts';
import { Buffers } from '../../packages/core/src/gpu/buffers.ts';
import { Gpu } from '../../packages/core/src/gpu/device.ts';
import type { Cost, Dispatch } from '../../packages/core/src/gpu/kernel.ts';
import { limitGrids } from '../../packages/core/src/gpu/recorder.ts';
import { Operations } from '../../packages/core/src/kernels/operations.ts';
import { KvCache } from '../../packages/core/src/model/kv-cache.ts';
import { createRuntime } from '../../packages/core/src/model/runtime.ts';
import { allocateWeights } from '../../packages/core/src/model/weights.ts';
import { huggingFaceConfig, PRESETS } from '../../packages/core/test/config.ts';
import { dispatchCost } from '../stages/kernel-cost.ts';
import { placesOf } from '../stages/places.ts';
import { planningDevice, threadsOf } from './planning-device.ts';

/** Dispatches of a pass that are alike: the same kernel on the same part of a layer. */
export interface DispatchGroup extends Cost {
  readonly kernel: string;
  /** As in `mlp.mlp1`; attention says whether its layers are sliding or full. */
  readonly part: string;
  /** How many there are in a pass. */
  readonly count: number;
  /** How many tiles of tokens read a weight. */
  readonly reads: number;
  /** Workgroups of one. */
  readonly workgroups: number;
  /** Invocations of a workgroup. */
  readonly threads: number;
}

/** Bindings of current desktop GPUs hold a whole matrix. */
const BINDING_BYTES = 2 ** 32 - 4;

/** What the engine would submit. */
export interface ModelPlan {
  /** One decoded token. @param depth - Tokens before it. */
  decode(depth: number): DispatchGroup[];
  /** A prompt, and the choice of the first token after it. */
  prefill(tokens: number): DispatchGroup[];
}

/**
 * Plans the dispatches of gpt-oss-20b, as the engine records them. Groups are in order of first appearance; their costs
 * are those of one dispatch.
 */
export async function planModel(): Promise<ModelPlan> {
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
  const { experts, expertsPerToken } = shape;
  const places = placesOf(weights, config.slidingLayers);
  const { logits, sampling, tokens: next } = activations;
  const sample = [
    ...model.unembed(1),
    ...new Operations(kernels, 1).sample(logits, sampling, next),
  ];

  const group = (dispatches: readonly Dispatch[], tokens: number, depth: number) => {
    const groups = new Map<string, DispatchGroup>();
    const reach = 2 ** Math.ceil(Math.log2(depth + tokens)); // as the engine limits grids
    for (const dispatch of limitGrids(dispatches, reach)) {
      const { label, pipeline } = dispatch;
      const [x, y, z] = dispatch.workgroups;
      const { part, isSliding } = places.get(label) ?? { part: label, isSliding: false };
      const kernel = pipeline.label;
      const span = part === 'attn' ? (isSliding ? ', sliding' : ', full') : '';
      const key = `${kernel} ${part}${span}`;
      groups.set(key, {
        ...dispatchCost(shape, dispatch, { isSliding, tokens, depth }),
        kernel,
        part: part + span,
        count: (groups.get(key)?.count ?? 0) + 1,
        reads: readsOf(kernel, y, Math.min(experts, tokens * expertsPerToken)),
        workgroups: x * y * z,
        threads: threadsOf(pipeline),
      });
    }
    return [...groups.values()];
  };

  return {
    decode: (depth) => group([...model.forward(kv, 1), ...sample], 1, depth),
    prefill: (tokens) => {
      const passes: DispatchGroup[] = [];
      for (let depth = 0; depth < tokens; depth += shape.chunkLength) {
        const count = Math.min(shape.chunkLength, tokens - depth);
        passes.push(...group(model.forward(kv, count), count, depth));
      }
      return [...passes, ...group(sample, 1, tokens)];
    },
  };
}

/** How many of a dispatch's tiles of tokens read a weight, if tokens choose at most so many experts. */
function readsOf(kernel: string, tiles: number, experts: number): number {
  if (!kernel.includes('_tiled')) return 1;
  return kernel.startsWith('expert') ? tiles / experts : tiles;
}
