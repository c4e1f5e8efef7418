import { expect } from 'vitest';
import { gpuTest, type TestGpu } from '../../test/gpu.ts';
import {
  outputBuffer,
  outputFloats,
  outputWords,
  randomValues,
  stepBuffer,
  uploadDense,
  uploadFloats,
} from '../../test/kernel-inputs.ts';
import { normedRows } from '../../test/normed-rows.ts';
import { linear, rmsNorm, route } from '../../test/oracles.ts';
import { createRandom } from '../../test/random.ts';
import { Kernel } from '../gpu/kernel.ts';
import { kernelSource } from './shaders.ts';
import { blockInvocations, rowSplits } from './shape.ts';

interface RouterCase {
  readonly experts: number;
  readonly columns: number;
  readonly tokens: number;
}

interface Gate {
  /** [experts, columns]. */
  readonly weight: Float64Array;
  /** [experts]. */
  readonly bias: Float64Array;
}

function randomGate({ experts, columns }: RouterCase): Gate {
  return {
    weight: randomValues(experts * columns, 3, 0.2),
    bias: randomValues(experts, 4),
  };
}

/** The logits and the choice of many tokens, by route. */
async function runRoute(
  gpu: TestGpu,
  { experts, columns, tokens, top }: RouterCase & { readonly top: number },
  h: Float64Array,
  { weight, bias }: Gate,
) {
  const constants = {
    COLUMNS: columns,
    EXPERTS: experts,
    TOP: top,
    SPLITS: rowSplits(columns, 16),
  };
  const kernel = await Kernel.compile(gpu.gpu, kernelSource('route', { constants }));
  const held = await uploadDense(gpu, 'bf16', [experts, columns], weight);
  const outputs = {
    router_logits: outputBuffer(gpu, tokens * (experts + 1)),
    experts: outputBuffer(gpu, tokens * top),
    expert_weights: outputBuffer(gpu, tokens * top),
  };
  const weights = held.matrix.parts[0]!.values;
  const resources = { h: uploadFloats(gpu, h), weights, bias: uploadFloats(gpu, bias), ...outputs };
  gpu.run(kernel.dispatch('route', resources, [1, tokens]));
  const rows = await outputFloats(gpu, outputs.router_logits);
  return {
    logits: Float64Array.from(rows.filter((_, i) => i % (experts + 1) < experts)),
    experts: await outputWords(gpu, outputs.experts),
    weights: await outputFloats(gpu, outputs.expert_weights),
    expected: linear(h, held.values, bias, columns),
  };
}

gpuTest.each([
  { experts: 8, columns: 96, top: 4, tokens: 5 },
  { experts: 32, columns: 2880, top: 4, tokens: 3 },
  { experts: 128, columns: 160, top: 4, tokens: 7 },
  { experts: 40, columns: 32, top: 2, tokens: 9 },
  { experts: 300, columns: 32, top: 1, tokens: 2 },
])(
  'route chooses the best $top of $experts experts: $columns columns',
  async ({ top, ...router }, gpu) => {
    const { experts, columns, tokens } = router;
    const h = randomValues(tokens * columns, 1, 3);
    const got = await runRoute(gpu, { ...router, top }, h, randomGate(router));
    expect(got.logits).toBeCloseToArray(got.expected, 1e-5);
    for (let token = 0; token < tokens; token++) {
      const logits = got.expected.subarray(token * experts, (token + 1) * experts);
      const { ids, weights } = route(logits, top);
      const at = token * top;
      expect([...got.experts.subarray(at, at + top)], `experts of token ${token}`).toEqual(ids);
      expect(got.weights.subarray(at, at + top)).toBeCloseToArray(weights, 2e-5);
    }
  },
);

gpuTest(
  'route takes the lower expert first among equals, also across the top-k cut',
  async (gpu) => {
    const router = { experts: 40, columns: 64, tokens: 6, top: 4 };
    const { columns, top } = router;
    const random = randomGate(router);
    // Four kinds of experts; those of a kind share weights and bias, so their logits are bit-identical.
    const weight = random.weight.map(
      (_, i) => random.weight[(i % columns) + (Math.floor(i / columns) % 4) * columns]!,
    );
    const bias = random.bias.map((_, expert) => random.bias[expert % 4]!);
    const got = await runRoute(gpu, router, randomValues(6 * columns, 1, 3), { weight, bias });
    for (let token = 0; token < 6; token++) {
      const logits = got.logits.subarray(token * 40, (token + 1) * 40);
      expect(new Set(logits).size).toBe(4);
      const first = route(logits, 1).ids[0]!;
      const at = token * top;
      expect([...got.experts.subarray(at, at + top)]).toEqual([0, 4, 8, 12].map((i) => first + i));
      expect(got.weights.subarray(at, at + top)).toBeCloseToArray([0.25, 0.25, 0.25, 0.25], 1e-6);
    }
  },
);

/** The logits of few tokens and 1 / rms(x), by router. */
async function runRouter(
  gpu: TestGpu,
  { experts, columns, tokens }: RouterCase,
  x: Float64Array,
  epsilon: number,
): Promise<void> {
  const scale = randomValues(columns, 2);
  const { weight, bias } = randomGate({ experts, columns, tokens });
  const constants = {
    COLUMNS: columns,
    EXPERTS: experts,
    EPSILON: epsilon,
    WORKGROUP_SIZE: blockInvocations(columns),
  };
  const kernel = await Kernel.compile(gpu.gpu, kernelSource('router', { constants }));
  const held = await uploadDense(gpu, 'bf16', [experts, columns], weight);
  const output = outputBuffer(gpu, tokens * (experts + 1));
  const resources = {
    h: uploadFloats(gpu, normedRows(x, scale)),
    weights: held.matrix.parts[0]!.values,
    bias: uploadFloats(gpu, bias),
    router_logits: output,
  };
  gpu.run(kernel.dispatch('router', resources, [experts, tokens]));
  const got = await outputFloats(gpu, output);
  const logits = linear(rmsNorm(x, scale, epsilon), held.values, bias, columns);
  for (let token = 0; token < tokens; token++) {
    const at = token * (experts + 1);
    const expected = logits.subarray(token * experts, (token + 1) * experts);
    expect(got.subarray(at, at + experts)).toBeCloseToArray(expected, 1e-5);
    const row = x.subarray(token * columns, (token + 1) * columns);
    const square = row.reduce((sum, value) => sum + value * value, 0) / columns;
    const inverse = 1 / Math.sqrt(square + epsilon);
    expect(got[at + experts]! / inverse, '1 / rms(x)').toBeCloseTo(1, 6);
  }
}

gpuTest.each([
  { experts: 8, columns: 96, tokens: 4 },
  { experts: 32, columns: 2880, tokens: 2 },
  { experts: 128, columns: 160, tokens: 1 },
  { experts: 40, columns: 32, tokens: 3 },
  { experts: 33, columns: 9216, tokens: 1 },
])(
  'router matches the oracle for $tokens tokens: $experts experts, $columns columns',
  (router, gpu) => runRouter(gpu, router, randomValues(router.tokens * router.columns, 1, 3), 1e-5),
);

gpuTest.each([1e-5, 1e-6])('router normalizes with the epsilon %f', async (epsilon, gpu) => {
  const x = randomValues(2 * 96, 1, 1e-4);
  await runRouter(gpu, { experts: 8, columns: 96, tokens: 2 }, x, epsilon);
});

interface Grouping {
  readonly experts: number;
  readonly top: number;
  /** The most slots of a tile. */
  readonly inputs: number;
  readonly maxTiles: number;
}

/** Runs group_by_expert on the `chosen` experts [tokens, top]. */
async function compileGroup(gpu: TestGpu, { experts, top, inputs, maxTiles }: Grouping) {
  const kernel = await Kernel.compile(
    gpu.gpu,
    kernelSource('group_by_expert', {
      constants: { EXPERTS: experts, TOP: top, TILE_INPUTS: inputs, MAX_TILES: maxTiles },
    }),
  );
  return async (chosen: readonly number[]) => {
    const sortedSlots = outputBuffer(gpu, chosen.length);
    const tiles = outputBuffer(gpu, maxTiles * 3);
    gpu.run(
      kernel.dispatch(
        'group',
        {
          step: stepBuffer(gpu, 9, chosen.length / top),
          // One extra choice beyond the slots, which must not be counted.
          experts: gpu.upload(Uint32Array.of(...chosen, 0)),
          sorted_slots: sortedSlots,
          tiles,
        },
        [1],
      ),
    );
    const words = await outputWords(gpu, tiles);
    return {
      inputs,
      sortedSlots: await outputWords(gpu, sortedSlots),
      tiles: Array.from({ length: maxTiles }, (_, i) => ({
        expert: words[3 * i]!,
        first: words[3 * i + 1]!,
        count: words[3 * i + 2]!,
      })),
    };
  };
}

function expectGrouped(
  chosen: readonly number[],
  { inputs, sortedSlots, tiles }: Awaited<ReturnType<Awaited<ReturnType<typeof compileGroup>>>>,
): void {
  expect(
    [...sortedSlots].sort((a, b) => a - b),
    'every slot, once',
  ).toEqual([...chosen.keys()]);
  const counts = new Map<number, number>();
  for (const expert of chosen) counts.set(expert, (counts.get(expert) ?? 0) + 1);
  const used = [...counts.values()].reduce((sum, count) => sum + Math.ceil(count / inputs), 0);
  expect(tiles.filter(({ count }) => count > 0).length, 'tiles in use').toBe(used);
  expect(tiles.slice(used).every(({ expert, first, count }) => !expert && !first && !count)).toBe(
    true,
  );
  let next = 0;
  for (const { expert, first, count } of tiles.slice(0, used)) {
    expect(first, 'tiles follow each other').toBe(next);
    expect(count).toBeLessThanOrEqual(inputs);
    for (const slot of sortedSlots.subarray(first, first + count)) {
      expect(chosen[slot], `expert of slot ${slot}`).toBe(expert);
    }
    next = first + count;
  }
  expect(next).toBe(chosen.length);
}

/** [tokens, top] distinct experts among the first `reach`. */
function randomChoices(tokens: number, top: number, reach: number, seed: number): number[] {
  const next = createRandom(seed);
  return Array.from({ length: tokens }, () => {
    const ids = new Set<number>();
    while (ids.size < top) ids.add(next.integer(reach));
    return [...ids];
  }).flat();
}

gpuTest.each([
  { experts: 8, top: 4, inputs: 8 },
  { experts: 32, top: 4, inputs: 64 },
  { experts: 128, top: 4, inputs: 8 },
  { experts: 300, top: 2, inputs: 32 },
])(
  'group_by_expert puts every slot in one tile of its expert: $experts experts, top $top, tiles of $inputs',
  async ({ experts, top, inputs }, gpu) => {
    const group = await compileGroup(gpu, {
      experts,
      top,
      inputs,
      maxTiles: Math.floor((130 * top) / inputs) + experts,
    });
    for (const tokens of [5, 31, 32, 33, 64, 130]) {
      const chosen = randomChoices(tokens, top, experts, tokens);
      expectGrouped(chosen, await group(chosen));
    }
    // Only top + 1 experts in use.
    const few = randomChoices(130, top, top + 1, 1);
    expectGrouped(few, await group(few));
  },
);

gpuTest('group_by_expert fills up to MAX_TILES tiles', async (gpu) => {
  // 3 x 33 + 1 slots of 4 experts: a full and a ragged tile for three, and a ragged one for the last.
  const chosen = [...new Array(33).fill(3), ...new Array(33).fill(1), ...new Array(33).fill(2), 0];
  const group = await compileGroup(gpu, { experts: 4, top: 1, inputs: 32, maxTiles: 7 });
  expectGrouped(chosen, await group(chosen));
});

gpuTest('group_by_expert can assign all slots to one expert', async (gpu) => {
  const group = await compileGroup(gpu, { experts: 8, top: 1, inputs: 32, maxTiles: 12 });
  for (const slots of [32, 64, 65, 130]) {
    const chosen = new Array(slots).fill(5);
    expectGrouped(chosen, await group(chosen));
  }
});
