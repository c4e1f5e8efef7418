import { expect, test } from 'vitest';
import { divergence, openWideDevice, type TestEngineOptions } from '../../../test/engine.ts';
import {
  readGoldenJson,
  readGoldenTensors,
  readTiny,
  type TinyLogitRows,
  type TinyPrompts,
} from '../../../test/golden.ts';
import { tensorValues } from '../../../test/number-formats.ts';

/** The mean divergence of the logits of long prompts, evaluated with wide tiles, from the golden ones. */
async function meanDivergence(
  names: readonly string[],
  options: TestEngineOptions,
): Promise<number> {
  const { files, config } = await readTiny('hf');
  const { prompts } = await readGoldenJson<TinyPrompts>('tiny/golden/prompts.json');
  const { prompts: rows } = await readGoldenJson<TinyLogitRows>(
    'tiny/golden/torch_f32_logits.json',
  );
  const golden = await readGoldenTensors('tiny/golden/torch_f32_logits.safetensors');
  const device = await openWideDevice();
  const engine = await device.engine(files, { tune: false, ...options });
  const divergences: number[] = [];
  for (const name of names) {
    const first = rows[name]!.first_position;
    const { tokens } = prompts[name]!;
    const session = engine.createSession();
    const actual = await session.evaluate(tokens, { logits: 'all' });
    session.dispose();
    const expected = tensorValues(golden.get(`${name}.logits`)!);
    for (let row = first; row < tokens.length; row++) {
      const of = <T extends Float32Array | Float64Array>(logits: T, at: number): T =>
        logits.subarray(at * config.vocabulary, (at + 1) * config.vocabulary) as T;
      divergences.push(divergence(of(actual, row), of(expected, row - first)));
    }
  }
  await device.close();
  return divergences.reduce((a, b) => a + b, 0) / divergences.length;
}

test('wide tiles keep to the golden logits', async () => {
  expect(await meanDivergence(['p130', 'p300'], {})).toBeLessThan(1e-8);
});

test('a prefill in int8 stays near the golden logits', async () => {
  const divergence = await meanDivergence(['p130'], { prefill: 'int8' });
  expect(divergence).toBeLessThan(0.03);
  expect(divergence, 'activations that are not rounded').toBeGreaterThan(1e-4);
});
