import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCheckpoint } from '../../../test/checkpoint.ts';
import { openTestDevice, SMALL, type TestDevice } from '../../../test/engine.ts';
import type { Engine } from '../engine.ts';

let gpu: TestDevice;
let engine: Engine;

beforeAll(async () => {
  gpu = await openTestDevice();
  engine = await gpu.engine(createCheckpoint(SMALL).files);
});

afterAll(() => gpu.close());

test('a diagnosis describes the GPU, the choices, the self-test and the times as plain data', async () => {
  const diagnosis = await engine.diagnose();
  expect(JSON.parse(JSON.stringify(diagnosis))).toEqual(diagnosis);
  const { adapter, features, limits, model, selfTest, kernels } = diagnosis;
  expect(adapter).toEqual(engine.info.adapter);
  expect(features).toEqual([...gpu.device.features].sort());
  expect(limits.maxStorageBufferBindingSize).toBe(gpu.device.limits.maxStorageBufferBindingSize);
  expect(model).toMatchObject({ id: engine.info.id, contextLength: 512, dense: 'bf16' });
  expect(selfTest.passed).toBe(true);
  expect(diagnosis.shaders).toMatch(/^[0-9a-f]{8}$/);
  const named = kernels.map(({ kernel }) => kernel);
  expect(new Set(named).size).toBe(named.length);
  if (gpu.device.features.has('timestamp-query')) {
    expect(kernels.reduce((sum, { dispatches }) => sum + dispatches, 0)).toBeGreaterThan(10);
  }
  for (const fact of ['self-test: passed', engine.info.id, 'maxBufferSize: ', diagnosis.shaders]) {
    expect(diagnosis.text).toContain(fact);
  }
});

test('a diagnosis between two answers changes neither', async () => {
  const prompt = Uint32Array.from([1, 2, 3, 4, 5, 6, 7]);
  const answer = async (diagnosing: boolean): Promise<readonly number[]> => {
    const session = engine.createSession();
    const options = { temperature: 0, maxTokens: 6 };
    const first = session.generate(prompt, options).result;
    const diagnosis = diagnosing ? engine.diagnose() : undefined;
    const second = session.generate(Uint32Array.of(...prompt, 8, 9), options).result;
    await Promise.all([first, diagnosis, second]);
    const tokens = [...session.tokens];
    session.dispose();
    return tokens;
  };
  expect(await answer(true)).toEqual(await answer(false));
});

test('an engine that was disposed of has no diagnosis', async () => {
  const other = await gpu.engine(createCheckpoint(SMALL).files);
  other.dispose();
  await expect(other.diagnose()).rejects.toMatchObject({ code: 'disposed' });
});
