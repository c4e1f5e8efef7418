import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cachedRows } from '../../test/attention-inputs.ts';
import { difference, loadRuntime } from '../../test/engine.ts';
import { choose } from '../../test/expert-kernels.ts';
import {
  readGoldenJson,
  readGoldenTensors,
  readTiny,
  type TinyCheckpoint,
  type TinyPrompts,
} from '../../test/golden.ts';
import { completedNorm } from '../../test/normed-rows.ts';
import { tensorValues } from '../../test/number-formats.ts';
import { attention } from '../../test/oracles.ts';
import { sharedDevice } from '../../test/shared-device.ts';
import { Buffers, readBuffer } from '../gpu/buffers.ts';
import { Gpu } from '../gpu/device.ts';
import { encode } from '../gpu/recorder.ts';
import { normedRow } from '../kernels/shape.ts';
import { KvCache } from '../model/kv-cache.ts';
import { type Runtime, writeStep } from '../model/runtime.ts';
import type { Weights } from '../model/weights.ts';

/** Passes of up to this many tokens leave the norms to the products that read them. */
const FEW_TOKENS = 1;

let device: GPUDevice;
let gpu: Gpu;
let buffers: Buffers;
let tiny: TinyCheckpoint;
let runtime: Runtime & { readonly weights: Weights };
let prompts: TinyPrompts['prompts'];
const errors: string[] = [];
const onError = ({ error }: GPUUncapturedErrorEvent): void => void errors.push(error.message);

beforeAll(async () => {
  device = await sharedDevice();
  device.addEventListener('uncapturederror', onError);
  gpu = new Gpu(device);
  buffers = new Buffers(gpu, 'test');
  tiny = await readTiny('hf');
  runtime = await loadRuntime(gpu, buffers, tiny.files, { dense: 'bf16', contextLength: 512 });
  ({ prompts } = await readGoldenJson<TinyPrompts>('tiny/golden/prompts.json'));
});

afterAll(() => {
  buffers.dispose();
  gpu.dispose();
  device.removeEventListener('uncapturederror', onError);
  expect(errors).toEqual([]);
});

/** The name in the golden trace, the buffer, and the width of its rows. */
type Capture = readonly [name: string, buffer: GPUBuffer, width: number];

/** What the dispatches that read certain weights write, by the label of the weights. */
function capturesByLabel(): ReadonlyMap<string, readonly Capture[]> {
  const { activations: a, config, weights } = runtime;
  const { hiddenSize, intermediateSize, experts, expertsPerToken, heads, kvHeads } = config;
  const layers = weights.block.flatMap(({ attn, mlp }, layer): [string, Capture[]][] => {
    const name = (last: string): string => `layer${layer}.${last}`;
    return [
      [attn.norm.label, [[name('attn_norm'), a.h, hiddenSize]]],
      [mlp.norm.label, [[name('mlp_norm'), a.h, hiddenSize]]],
      [attn.qkv.weight.label, [[name('projected'), a.projected, (heads + 2 * kvHeads) * 64]]],
      [attn.sinks.label, [[name('attn_out_pre'), a.attended, heads * 64]]],
      [
        attn.out.weight.label,
        [
          [name('resid_mid'), a.x, hiddenSize],
          [name('mlp_norm.rows'), a.h, normedRow(hiddenSize)],
        ],
      ],
      [mlp.gate.weight.label, [[name('router_rows'), a.choice.routerLogits, experts + 1]]],
      [mlp.mlp1.label, [[name('mlp_act'), a.hidden, expertsPerToken * intermediateSize]]],
      [
        mlp.mlp2.label,
        [
          [name('resid_out'), a.x, hiddenSize],
          [`layer${layer + 1}.attn_norm.rows`, a.h, normedRow(hiddenSize)],
        ],
      ],
    ];
  });
  return new Map<string, readonly Capture[]>([
    [
      weights.embedding.label,
      [
        ['embedding', a.x, hiddenSize],
        ['layer0.attn_norm.rows', a.h, normedRow(hiddenSize)],
      ],
    ],
    [weights.norm.label, [['final_norm', a.h, hiddenSize]]],
    ...layers,
  ]);
}

/** Runs a prompt in passes of the given lengths, and reads back what every dispatch writes: [tokens, width] each. */
async function trace(
  tokens: readonly number[],
  passes: readonly number[],
): Promise<Map<string, Float64Array>> {
  const { model, activations, shape, config } = runtime;
  const owned = new Buffers(gpu, 'trace');
  const kv = new KvCache(gpu, config, shape);
  const captured = capturesByLabel();
  const captures = new Map<string, { buffer: GPUBuffer; width: number }>();
  let position = 0;
  for (const count of passes) {
    const pass = Uint32Array.from(tokens.slice(position, position + count));
    device.queue.writeBuffer(activations.tokens, 0, pass);
    writeStep(runtime, position, count, 0);
    const encoder = device.createCommandEncoder();
    const dispatches = [...model.forward(kv, count), ...model.unembed(count)];
    for (const dispatch of dispatches) {
      encode(encoder, [dispatch]);
      for (const [name, from, width] of captured.get(dispatch.label) ?? []) {
        if (name.endsWith('.rows') && count > FEW_TOKENS) continue; // written by rms_norm later
        const capture = captures.get(name) ?? {
          buffer: owned.storage(name, 4 * tokens.length * width),
          width,
        };
        captures.set(name, capture);
        const rowBytes = 4 * width;
        encoder.copyBufferToBuffer(from, 0, capture.buffer, position * rowBytes, count * rowBytes);
      }
    }
    device.queue.submit([encoder.finish()]);
    position += count;
  }
  expect(position).toBe(tokens.length);
  const result = new Map<string, Float64Array>();
  for (const [name, { buffer }] of captures) {
    const bytes = await readBuffer(gpu, buffer);
    result.set(name, Float64Array.from(new Float32Array(bytes)));
  }
  completeNorms(
    result,
    passes.flatMap((count) => new Array<boolean>(count).fill(count <= FEW_TOKENS)),
  );
  for (const [layer, cache] of kv.layers.entries()) {
    const { kvHeads, kvCache, contextLength, ringCapacity } = shape;
    const capacity = cache.isSliding ? ringCapacity : contextLength;
    for (const [of, name] of [
      ['keys', 'k_rope'],
      ['values', 'v'],
    ] as const) {
      const words = new Uint32Array(await readBuffer(gpu, cache[of]));
      const rows = cachedRows(of, words, { kvHeads, kvCache, capacity }, 0, tokens.length);
      result.set(`layer${layer}.${name}`, rows);
    }
    derive(result, layer);
  }
  owned.dispose();
  kv.dispose();
  return result;
}

/** Completes the norms of the positions that were evaluated in passes of few tokens. */
function completeNorms(values: Map<string, Float64Array>, isFew: readonly boolean[]): void {
  const { hiddenSize, normEpsilon } = runtime.config;
  for (const [name, rows] of values) {
    if (!name.endsWith('.rows')) continue;
    const completed = completedNorm(rows, hiddenSize, normEpsilon);
    const norm = values.get(name.replace(/\.rows$/, ''));
    values.set(
      name.replace(/\.rows$/, ''),
      completed.map((value, i) =>
        isFew[Math.floor(i / hiddenSize)] ? value : (norm?.[i] ?? Number.NaN),
      ),
    );
  }
}

/** Adds values that no buffer holds as such: the choice of experts, the queries, differences of the residual stream, and the sinks' share. */
function derive(values: Map<string, Float64Array>, layer: number): void {
  const { heads, kvHeads, experts, expertsPerToken } = runtime.config;
  const of = (name: string) => values.get(`layer${layer}.${name}`)!;
  const set = (name: string, value: Float64Array) => values.set(`layer${layer}.${name}`, value);
  const width = (heads + 2 * kvHeads) * 64;
  const logits = of('router_rows').filter((_, i) => i % (experts + 1) < experts);
  const choice = choose(logits, experts, expertsPerToken);
  set('router_logits', logits);
  set('expert_ids', Float64Array.from(choice.experts));
  set('expert_weights', Float64Array.from(choice.weights));
  set(
    'q_rope',
    of('projected').filter((_, i) => i % width < heads * 64),
  );
  const before =
    layer === 0 ? values.get('embedding')! : values.get(`layer${layer - 1}.resid_out`)!;
  set(
    'attn_out_post',
    of('resid_mid').map((x, i) => x - before[i]!),
  );
  set(
    'mlp_out',
    of('resid_out').map((x, i) => x - of('resid_mid')[i]!),
  );
  const { sinkMass } = attention({
    q: of('q_rope'),
    k: of('k_rope'),
    v: of('v'),
    sinks: tensorValues(tiny.tensors.get(`model.layers.${layer}.self_attn.sinks`)!),
    kvHeads,
    headDim: 64,
    window: layer % 2 === 0 ? tiny.config.window : 0,
  });
  set('sink_mass', sinkMass);
}

const ones = (count: number) => Array.from({ length: count }, () => 1);

describe.each([
  ['p040', 'torch_f32_trace', 'in one pass', [40]],
  ['p040', 'torch_f32_trace', 'one token at a time', ones(40)],
  ['p040', 'torch_f32_trace', 'in passes of few and of many tokens', [2, 5, 4, 1, 17, 3, 8]],
  ['p005', 'torch_f32_trace_p005', 'in one pass', [5]],
  ['p005', 'torch_f32_trace_p005', 'one token at a time', ones(5)],
] as const)('%s (%s) %s', (prompt, file, _, passes) => {
  test('computes every golden intermediate result', async () => {
    const golden = await readGoldenTensors(`tiny/golden/${file}.safetensors`);
    const actual = await trace(prompts[prompt]!.tokens, passes);
    for (const [name, tensor] of golden) {
      if (name.endsWith('mlp1_out')) continue; // stays in registers: the same dispatch turns it into mlp_act
      const expected = tensorValues(tensor);
      const values = actual.get(name);
      expect(values, name).toBeDefined();
      if (name.endsWith('expert_ids')) {
        expect([...values!], name).toEqual([...expected]);
      } else {
        const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1);
        expect(difference(values!, expected).max, name).toBeLessThan(1e-4 * largest);
      }
    }
    const stages = prompt === 'p005' ? 15 : 14;
    expect(golden.size).toBeGreaterThanOrEqual(4 * stages + 2);
  });
});
