import { expect, test } from 'vitest';
import { divergence, openGpuDevice, type TestEngineOptions } from '../../../test/engine.ts';
import {
  readGoldenJson,
  readGoldenTensors,
  readTiny,
  type TinyLogitRows,
  type TinyPrompts,
} from '../../../test/golden.ts';
import { tensorValues } from '../../../test/number-formats.ts';
import { slowTest } from '../../../test/slow.ts';

const PROMPT = 'p130';

/** The mean divergence of the logits of a long prompt, evaluated with wide tiles, from the golden ones. */
async function meanDivergence(options: TestEngineOptions): Promise<number> {
  const { files, config } = await readTiny('hf');
  const { prompts } = await readGoldenJson<TinyPrompts>('tiny/golden/prompts.json');
  const golden = await readGoldenJson<TinyLogitRows>('tiny/golden/torch_f32_logits.json');
  const tensors = await readGoldenTensors('tiny/golden/torch_f32_logits.safetensors');
  const device = await openGpuDevice();
  const engine = await device.engine(files, { tune: false, ...options });
  const { tokens } = prompts[PROMPT]!;
  const logits = await engine.createSession().evaluate(tokens, { logits: 'all' });
  await device.close();
  const expected = tensorValues(tensors.get(`${PROMPT}.logits`)!);
  const first = golden.prompts[PROMPT]!.first_position;
  let sum = 0;
  for (let position = first; position < tokens.length; position++) {
    const [at, row] = [position, position - first].map((index) => index * config.vocabulary);
    sum += divergence(
      logits.subarray(at, at! + config.vocabulary),
      expected.subarray(row, row! + config.vocabulary),
    );
  }
  return sum / (tokens.length - first);
}

test('wide tiles keep to the golden logits', async () => {
  expect(await meanDivergence({})).toBeLessThan(1e-8);
});

slowTest('a prefill in int8 stays near the golden logits', async () => {
  const divergence = await meanDivergence({ prefill: 'int8' });
  expect(divergence).toBeLessThan(0.03);
  expect(divergence, 'activations that are not rounded').toBeGreaterThan(1e-4);
});
