import fc from 'fast-check';
import { expect, test } from 'vitest';
import { huggingFaceConfig, originalConfig, PRESETS } from '../../test/config.ts';
import { anyValue, changed, fuzz, isArgumentError, jsonValue, outcome } from '../../test/fuzz.ts';
import { planLoad } from '../engine/load/plan.ts';
import { isOssicleError } from '../errors.ts';
import { parseConfig } from './config.ts';

const isInvalid = (error: unknown): boolean =>
  isOssicleError(error) && error.code === 'format-invalid' && error.message.length < 500;

const configs = [huggingFaceConfig, originalConfig].map((write) =>
  JSON.parse(write(PRESETS['20b'])),
);
const config = fc
  .oneof(...configs.map((json) => changed(json, jsonValue)))
  .filter((json) => typeof json === 'object' && json !== null) as fc.Arbitrary<
  Record<string, unknown>
>;
const options = changed(
  { contextLength: 64, dense: 'int8', kvCache: 'f16', prefillChunkLength: 64 },
  anyValue,
).filter((value) => typeof value === 'object' && value !== null) as fc.Arbitrary<object>;

test('any config.json is read as a model of bounded size, or rejected as format-invalid', () =>
  fuzz('config.json', config, async (json) => {
    const read = await outcome(() => parseConfig(json), isInvalid);
    if (!read) return;
    expect(read.slidingLayers).toHaveLength(read.layers);
    expect(read.layers).toBeLessThanOrEqual(1024);
    const { rope, slidingLayers: _, ...numbers } = read;
    const { truncate: __, ...ropeNumbers } = rope;
    for (const value of [...Object.values(numbers), ...Object.values(ropeNumbers)]) {
      expect(Number.isFinite(value) && value > 0, JSON.stringify(read)).toBe(true);
    }
  }));

test('any options of a load make a plan of finite size, or are rejected', () =>
  fuzz(
    'load options',
    fc.tuple(fc.oneof(fc.constant(configs[0]), config), options),
    async ([json, given]) => {
      const plan = await outcome(
        () => planLoad(json, given),
        (error) => isInvalid(error) || isArgumentError(error),
      );
      if (!plan) return;
      expect(Number.isSafeInteger(plan.tokenBytes) || plan.tokenBytes > 2 ** 53).toBe(true);
      expect(plan.gpuBytes).toBeGreaterThan(0);
      expect(plan.gpuBytes).toBeLessThan(Infinity);
    },
  ));
