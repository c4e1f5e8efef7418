// Loads without a store, from a failing server: each ends with a model or with an error that says why.
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { difference, openTestDevice, type TestDevice } from '../../test/engine.ts';
import { type FaultRule, FaultSession } from '../../test/fault-session.ts';
import {
  readGoldenJson,
  readGoldenTensors,
  type TinyLogitRows,
  type TinyPrompts,
} from '../../test/golden.ts';
import { tensorValues } from '../../test/number-formats.ts';
import type { LoadProgress } from '../types/load.ts';
import type { Engine } from './engine.ts';
import { createEngine } from './load/create-engine.ts';

/** Requests for weights. Those for headers have their own tests. */
const WEIGHTS = { path: '.safetensors', fromBytes: 65_536 };

/** Just patient enough for the faults of these tests. */
const retry = {
  attempts: 4,
  firstAttempts: 2,
  firstDelayMs: 1,
  maxDelayMs: 4,
  maxRetryAfterMs: 1000,
  stallMs: 2000,
  minBytesPerSecond: 1000,
  slowMs: 60_000,
};

let gpu: TestDevice;
let session: FaultSession;

beforeAll(async () => {
  gpu = await openTestDevice();
});
afterAll(() => gpu.close());
beforeEach(async () => {
  const folder = 'packages/core/test/golden/tiny/hf';
  session = await FaultSession.start(inject('faultServer'), { folder });
});

async function load(
  rules: readonly FaultRule[],
  onProgress?: (progress: LoadProgress) => void,
): Promise<Engine> {
  await session.script(...rules);
  const options = {
    device: gpu.device,
    source: session.url,
    dense: 'bf16' as const,
    contextLength: 512,
    store: false,
    retry, // an option of sources, not of the library
    ...(onProgress && { onProgress }),
  };
  return createEngine(options);
}

const failing: [string, FaultRule, string, RegExp][] = [
  [
    'HTTP 404',
    { ...WEIGHTS, fault: { kind: 'status', status: 404 } },
    'download-failed',
    /no file model-0/,
  ],
  [
    'permanent HTTP 503',
    { ...WEIGHTS, fault: { kind: 'status', status: 503 } },
    'download-failed',
    /model-0\S+ answered HTTP 503/,
  ],
  [
    'a connection that breaks before the first byte',
    { ...WEIGHTS, fault: { kind: 'cut', afterBytes: 0 } },
    'download-failed',
    /model-0\S+ could not be read.*Check the connection/,
  ],
  [
    'a truncated file',
    { ...WEIGHTS, fault: { kind: 'truncate', sizeBytes: 70_000 } },
    'integrity',
    /model-0\S+.*[Ll]oad again/,
  ],
];

test.each(failing)('a load rejects on %s, and says so', async (_, rule, code, message) => {
  await expect(load([rule])).rejects.toMatchObject({
    name: 'OssicleError',
    code,
    message: expect.stringMatching(message),
  });
});

test('a load survives connections that break or stall, and busy servers', async () => {
  const phases: string[] = [];
  const engine = await load(
    [
      { ...WEIGHTS, times: 6, fault: { kind: 'cut', afterBytes: 20_000 } },
      { ...WEIGHTS, times: 1, fault: { kind: 'stall', afterBytes: 30_000 } },
      { ...WEIGHTS, times: 2, fault: { kind: 'status', status: 503 } },
    ],
    ({ phase }) => phases.push(phase),
  );
  expect(new Set(phases)).toEqual(new Set(['compile', 'upload', 'ready']));
  const statuses = (await session.log()).map(({ status }) => status);
  expect(statuses.filter((status) => status === 503)).toHaveLength(2);

  const { prompts } = await readGoldenJson<TinyPrompts>('tiny/golden/prompts.json');
  const { prompts: rows } = await readGoldenJson<TinyLogitRows>(
    'tiny/golden/torch_f32_logits.json',
  );
  const golden = await readGoldenTensors('tiny/golden/torch_f32_logits.safetensors');
  const tokens = prompts.p005!.tokens;
  const logits = await engine.createSession().evaluate(tokens, { logits: 'all' });
  const actual = logits.subarray(rows.p005!.first_position * 640);
  const { max } = difference(actual, tensorValues(golden.get('p005.logits')!));
  expect(max).toBeLessThan(1e-3);
  engine.dispose();
});

test('hashes that cannot be checked for lack of a store end the load before its weights', async () => {
  const integrity = { 'config.json': 'a'.repeat(64) };
  const options = { device: gpu.device, source: session.url, contextLength: 512, store: true };
  await expect(createEngine({ ...options, integrity })).rejects.toMatchObject({
    code: 'storage-unavailable',
    message: expect.stringContaining('`integrity`'),
  });
});
