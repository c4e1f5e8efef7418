import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  difference,
  likeliest,
  loadRuntime,
  openTestDevice,
  type TestDevice,
} from '../../test/engine.ts';
import {
  readGoldenJson,
  readGoldenTensors,
  readTiny,
  readTinyGguf,
  type TinyLogitRows,
  type TinyPrompts,
} from '../../test/golden.ts';
import { tensorValues } from '../../test/number-formats.ts';
import { Buffers, readBuffer } from '../gpu/buffers.ts';
import { Gpu } from '../gpu/device.ts';
import type { DenseMatrix, ExpertMatrix } from '../kernels/matrix.ts';

let gpu: TestDevice;

beforeAll(async () => {
  gpu = await openTestDevice();
});

afterAll(() => gpu.close());

/** The bytes of every weight on the GPU, by name. */
async function residentBytes(
  files: readonly File[],
  dense: 'int8' | 'bf16',
): Promise<Map<string, Uint8Array>> {
  const device = new Gpu(gpu.device);
  const buffers = new Buffers(device, 'model');
  const { weights } = await loadRuntime(device, buffers, files, { dense, contextLength: 64 });
  // Concurrently, as each takes a round trip to the browser's GPU process.
  const reads: Promise<readonly [string, Uint8Array]>[] = [];
  const read = (name: string, buffer: GPUBuffer): void => {
    reads.push(readBuffer(device, buffer).then((bytes) => [name, new Uint8Array(bytes)]));
  };
  const readDense = ({ label, parts }: DenseMatrix): void => {
    for (const part of parts) {
      read(`${label}[${part.firstRow}:]`, part.values);
      read(`${label}[${part.firstRow}:].scales`, part.scales);
    }
  };
  const readExperts = ({ label, parts, bias }: ExpertMatrix): void => {
    read(`${label}.bias`, bias);
    for (const part of parts) {
      read(`${label}[${part.firstExpert}:].blocks`, part.blocks);
      read(`${label}[${part.firstExpert}:].scales`, part.scales);
    }
  };
  const { embedding, unembedding, norm, block } = weights;
  readDense(embedding);
  readDense(unembedding);
  read('norm', norm);
  for (const [layer, { attn, mlp }] of block.entries()) {
    read(`${layer}.attn.norm`, attn.norm);
    read(`${layer}.attn.sinks`, attn.sinks);
    read(`${layer}.mlp.norm`, mlp.norm);
    for (const [name, { weight, bias }] of Object.entries({
      qkv: attn.qkv,
      out: attn.out,
      gate: mlp.gate,
    })) {
      readDense(weight);
      read(`${layer}.${name}.bias`, bias);
    }
    readExperts(mlp.mlp1);
    readExperts(mlp.mlp2);
  }
  const found = new Map(await Promise.all(reads));
  buffers.dispose();
  device.dispose();
  return found;
}

describe.each(['bf16', 'int8'] as const)('the tiny checkpoint with %s dense weights', (dense) => {
  test('has the same bytes on the GPU from all three layouts', async () => {
    const hf = await residentBytes((await readTiny('hf')).files, dense);
    expect([...hf.keys()].filter((name) => name.endsWith('.blocks'))).toHaveLength(8);
    for (const files of [(await readTiny('original')).files, [await readTinyGguf()]]) {
      const other = await residentBytes(files, dense);
      expect([...other.keys()]).toEqual([...hf.keys()]);
      for (const [name, bytes] of other) {
        expect(bytes.some((byte) => byte !== 0) || name.endsWith('].scales'), name).toBe(true);
        const expected = hf.get(name)!;
        expect(bytes.length, name).toBe(expected.length);
        expect(
          bytes.findIndex((byte, i) => byte !== expected[i]),
          name,
        ).toBe(-1);
      }
    }
  });
});

test('the tiny GGUF file computes the golden logits at every position', async () => {
  const engine = await gpu.engine([await readTinyGguf()]);
  const { prompts } = await readGoldenJson<TinyPrompts>('tiny/golden/prompts.json');
  const { prompts: rows } = await readGoldenJson<TinyLogitRows>(
    'tiny/golden/torch_f32_logits.json',
  );
  const golden = await readGoldenTensors('tiny/golden/torch_f32_logits.safetensors');
  for (const name of ['p005', 'p040']) {
    const session = engine.createSession();
    const logits = await session.evaluate(prompts[name]!.tokens, { logits: 'all' });
    session.dispose();
    const expected = tensorValues(golden.get(`${name}.logits`)!);
    const actual = logits.subarray(rows[name]!.first_position * 640);
    const { max, rms } = difference(actual, expected);
    expect(max, name).toBeLessThan(1e-3);
    expect(rms, name).toBeLessThan(1e-4);
    for (let at = 0; at < expected.length; at += 640) {
      expect(likeliest(actual.subarray(at, at + 640)), name).toBe(
        likeliest(expected.subarray(at, at + 640)),
      );
    }
  }
});

test('a model without a Harmony tokenizer answers ids and rejects conversations', async () => {
  const engine = await gpu.engine([await readTinyGguf()]);
  const session = engine.createSession();
  const ids = Uint32Array.of(1, 2, 3);
  const { usage, reason } = await session.generate(ids, { maxTokens: 3 }).result;
  expect({ reason, usage }).toMatchObject({ reason: 'length', usage: { completionTokens: 3 } });
  const refused = session.generate('Hi').result;
  await expect(refused).rejects.toMatchObject({ code: 'format-invalid' });
  await expect(refused).rejects.toThrow(/<\|start\|>/);
  expect(engine.tokenizer.decode(ids)).not.toBe('');
  for (const options of [{ reasoningBudget: 1 }, { builtInTools: [] }, { stop: ['a'] }]) {
    const { result } = session.generate(ids, options);
    await expect(result).rejects.toThrow(/requires a checkpoint with a Harmony tokenizer/);
  }
});
