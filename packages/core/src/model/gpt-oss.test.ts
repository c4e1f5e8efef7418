import { beforeAll, describe, expect, test } from 'vitest';
import { huggingFaceConfig, PRESETS } from '../../test/config.ts';
import { SHAPE_20B } from '../../test/kernel-shape.ts';
import type { Buffers } from '../gpu/buffers.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { LayerCache } from '../kernels/operands.ts';
import { Operations } from '../kernels/operations.ts';
import type { PipelineName } from '../kernels/pipelines.ts';
import type { Product } from '../kernels/shape.ts';
import { parseConfig } from './config.ts';
import { gptOss } from './gpt-oss.ts';
import { mapSizes } from './sizes.ts';
import { type Activations, activationSizes } from './state.ts';
import { allocateWeights } from './weights.ts';

/** A dispatch of a kernel, nothing of which exists. */
interface Planned {
  readonly kernel: string;
  readonly workgroups: number;
}

const buffer = (label: string) => ({ label }) as GPUBuffer;

/** What one decoded token of 20b dispatches, sampling included, on a GPU with bindings of 1 GiB. */
function decodeStep(): Planned[] {
  const config = parseConfig(JSON.parse(huggingFaceConfig(PRESETS['20b'])));
  const kernelOf = (pipeline: PipelineName) => ({
    dispatch: (_label: string, _resources: unknown, [x, y = 1]: readonly [number, number?]) => ({
      kernel: pipeline.split('/')[0],
      workgroups: x * y,
    }),
  });
  const kernels = {
    shape: SHAPE_20B,
    step: buffer('step'),
    params: () => buffer('params'),
    has: (product: Product) => product !== 'tall',
    get: kernelOf,
  } as unknown as Kernels;
  const buffers = { storage: buffer } as unknown as Buffers;
  const { weights } = allocateWeights(config, buffers, 'int8', 2 ** 30);
  const activations = {
    ...mapSizes(activationSizes(SHAPE_20B), buffer),
    logitRows: 1,
  } as unknown as Activations;
  const layers = config.slidingLayers.map(
    (isSliding): LayerCache => ({ isSliding, keys: buffer('keys'), values: buffer('values') }),
  );
  const model = gptOss(kernels, weights, activations, buffer('ropeTable'));
  const { logits, sampling, tokens } = activations;
  return [
    ...model.forward({ layers }, 1),
    ...model.unembed(1),
    ...new Operations(kernels, 1).sample(logits, sampling, tokens),
  ] as unknown as Planned[];
}

describe('a decoded token of 20b', () => {
  let dispatches: Planned[];

  beforeAll(() => {
    dispatches = decodeStep();
  });

  test('takes at most 165 dispatches, at most 6 of them a single workgroup', () => {
    expect(dispatches.length).toBeGreaterThan(24 * 6);
    expect(dispatches.length).toBeLessThanOrEqual(165);
    const single = dispatches.filter(({ workgroups }) => workgroups === 1);
    expect(single.length, single.map(({ kernel }) => kernel).join()).toBeLessThanOrEqual(6);
  });

  test.each([
    ['qkv', 160],
    ['out', 180],
    ['router', 32],
    ['expert_swiglu', 720],
    ['expert_out', 360],
    ['linear', 6284],
  ])('spreads %s over at least %i workgroups', (name, least) => {
    const workgroups = dispatches.flatMap(({ kernel, ...d }) =>
      kernel === name ? [d.workgroups] : [],
    );
    expect(workgroups.length).toBe(name === 'linear' ? 1 : 24);
    expect(Math.min(...workgroups)).toBeGreaterThanOrEqual(least);
  });
});
