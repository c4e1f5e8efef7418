import { afterAll, beforeAll, expect } from 'vitest';
import { createCheckpoint } from '../../test/checkpoint.ts';
import type { Config } from '../../test/config.ts';
import { difference, openTestDevice, SMALL, type TestDevice } from '../../test/engine.ts';
import { createRandom } from '../../test/random.ts';
import { createReference } from '../../test/reference.ts';
import { slowTest } from '../../test/slow.ts';

let gpu: TestDevice;

beforeAll(async () => {
  gpu = await openTestDevice();
});

afterAll(() => gpu.close());

const ids = { bos: 30, pad: 31, eos: 32 };

/** Valid configurations that no published model has. */
const CONFIGURATIONS: readonly (readonly [name: string, layout: 'hf' | 'original', Config])[] = [
  [
    'one layer, a window of one, a single expert, three query heads on one key head, 33 tokens',
    'original',
    {
      ...SMALL,
      layers: 1,
      window: 1,
      experts: 1,
      expertsPerToken: 1,
      heads: 3,
      kvHeads: 1,
      vocabulary: 33,
      specialIds: ids,
    },
  ],
  [
    'all 5 experts per token, as many key heads as query heads, narrow experts, no YaRN scaling',
    'hf',
    {
      ...SMALL,
      hidden: 96,
      intermediate: 64,
      window: 5,
      experts: 5,
      expertsPerToken: 5,
      heads: 2,
      kvHeads: 2,
      vocabulary: 33,
      specialIds: ids,
      yarn: { ...SMALL.yarn, factor: 1 },
      epsilon: 1e-3,
      swigluLimit: 0.5,
    },
  ],
];

slowTest.each(CONFIGURATIONS)(
  'a model with %s agrees with the reference, however its tokens are split into calls',
  async (...of) => {
    const [, layout, config] = of;
    const { files, tensors } = createCheckpoint(config, { layout });
    const random = createRandom(3);
    const tokens = Array.from({ length: 90 }, () => random.integer(config.vocabulary));
    const every = tokens.map((_, i) => i);
    const { logits: expected } = await createReference(tensors, config).forward(tokens, {
      logits: every,
    });
    const engine = await gpu.engine(files, { contextLength: 96, prefillChunkLength: 37 });
    const session = engine.createSession();
    const rows: number[] = [];
    for (const count of [1, 70, 3, 1, 15]) {
      const next = tokens.slice(session.tokens.length, session.tokens.length + count);
      rows.push(...(await session.evaluate(next, { logits: 'all' })));
    }
    const { max, rms } = difference(rows, expected);
    expect(max).toBeLessThan(1e-3);
    expect(rms).toBeLessThan(1e-4);
  },
);
