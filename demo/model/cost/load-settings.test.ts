import { beforeEach, expect, test, vi } from 'vitest';
import { planLoad } from '../../../packages/core/src/engine/load/plan.ts';
import { huggingFaceConfig, PRESETS } from '../../../packages/core/test/config.ts';
import {
  gpuBytesWith,
  readLoadSettings,
  weightBytesPerToken,
  writeLoadSettings,
} from './load-settings.ts';

const JSON_20B = JSON.parse(huggingFaceConfig(PRESETS['20b']));
const plan = planLoad(JSON_20B, {});
const info = { ...plan.shape, config: plan.config, gpuBytes: plan.gpuBytes };

test.each([
  { contextLength: 8192, dense: 'int8' },
  { contextLength: 131_072, dense: 'int8' },
  { contextLength: 32_768, dense: 'bf16' },
] as const)(
  'the memory that is told for $contextLength tokens and $dense is what the model takes',
  (choice) => {
    const { gpuBytes } = planLoad(JSON_20B, choice);
    expect(gpuBytesWith(info, choice) / gpuBytes).toBeCloseTo(1, 2);
  },
);

test.each(['int8', 'bf16'] as const)(
  'the bytes that each token reads with %s are counted',
  (dense) => {
    const { tokenBytes } = planLoad(JSON_20B, { dense });
    expect(weightBytesPerToken(info, dense) / tokenBytes).toBeCloseTo(1, 2);
  },
);

beforeEach(() => {
  const items = new Map<string, string>();
  vi.stubGlobal('location', { href: 'https://demo.example/' });
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, text: string) => items.set(key, text),
  });
});

test('each checkpoint has choices of its own, and unknown ones are ignored', () => {
  writeLoadSettings('a/b', { contextLength: 32_768, dense: 'bf16' });
  expect(readLoadSettings('a/b')).toEqual({ contextLength: 32_768, dense: 'bf16' });
  expect(readLoadSettings('a/c')).toEqual({});
  localStorage.setItem('ossicle.load a/d /', '{"contextLength":7,"dense":"int4"}');
  expect(readLoadSettings('a/d')).toEqual({});
});
