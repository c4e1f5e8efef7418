import { expect, test } from 'vitest';
import { parseBenchOptions } from './options.ts';

test('without arguments both stages run on the small model in Chrome', () => {
  expect(parseBenchOptions([])).toEqual({
    config: 'nano',
    runtimes: ['chrome'],
    stages: ['end-to-end', 'kernels'],
    sides: [{ dense: 'int8', chunk: 512 }],
    prompts: [128, 512],
    depths: [128],
    decode: 64,
    temperature: 1,
    repeat: 5,
    store: true,
    software: false,
    dawnFeatures: [],
    dawnFlags: [],
    commandLine: '',
  });
});

test('options say what to measure, where and how often', () => {
  const options = parseBenchOptions(
    (
      '--config 20b --runtime both --kernels --dense bf16 --kv-cache f16 --context 4096 --chunk 256 --prompt 7 ' +
      '--depth 0001,1024 --decode 8 --repeat 3 --no-store --dawn-feature a --dawn-feature b --dawn-flag backend=vulkan'
    ).split(' '),
  );
  expect(options).toMatchObject({
    config: '20b',
    runtimes: ['chrome', 'node'],
    stages: ['kernels'],
    sides: [{ dense: 'bf16', kvCache: 'f16', context: 4096, chunk: 256 }],
    prompts: [7],
    depths: [1, 1024],
    decode: 8,
    repeat: 3,
    store: false,
    dawnFeatures: ['a', 'b'],
    dawnFlags: ['backend=vulkan'],
  });
});

test('a comparison has two sides that differ in one option', () => {
  const { sides } = parseBenchOptions(['--chunk', '64', '--compare', 'dense=int8,bf16']);
  expect(sides).toEqual([
    { dense: 'int8', chunk: 64 },
    { dense: 'bf16', chunk: 64 },
  ]);
  const { sides: contexts } = parseBenchOptions(['--compare=context=1024,8192']);
  expect(contexts.map(({ context }) => context)).toEqual([1024, 8192]);
});

test('against another checkout both sides have the same options', () => {
  const { sides, against } = parseBenchOptions(['--against', '../before', '--dense', 'bf16']);
  expect(against).toBe('../before');
  expect(sides[0]).toEqual(sides[1]);
});

test.each([
  [['--dense', 'int4'], '--dense must be int8 or bf16, not "int4"'],
  [['--runtime', 'deno'], '--runtime must be chrome or node or both'],
  [['--prompt', '128,x'], '--prompt must be a whole number above 0, not "x"'],
  [['--repeat', '0'], '--repeat must be a whole number above 0'],
  [['--compare', 'repeat=1,2'], 'give one of dense, kv-cache, context, chunk two values'],
  [['--compare', 'dense=int8'], 'two values'],
  [['--compare', 'dense=int8,bf16', '--against', 'x'], 'exclude each other'],
  [['--against', 'x', '--repeat', '1'], 'one pair tells nothing'],
  [['--unknown'], 'unknown'],
])('%j is refused', (args, message) => {
  expect(() => parseBenchOptions(args)).toThrow(message);
});
