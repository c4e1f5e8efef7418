import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Config, parseConfig } from '../../test/config.ts';
import { likeliest, openTestDevice, type TestDevice } from '../../test/engine.ts';
import { readTestFile, readTestJson } from '../../test/files.ts';
import { createGguf, type TokenizerJson, unpackExperts } from '../../test/gguf-checkpoint.ts';
import { readGoldenJson } from '../../test/golden.ts';
import { readSafetensors, type Tensor, writeSafetensors } from '../../test/safetensors-file.ts';
import { runsSlowTests, slowTest } from '../../test/slow.ts';
import type { Engine } from './engine.ts';

const NANO = 'demo/public/models/gpt-oss-nano';
const SHARDS = [1, 2].map((i) => `model-0000${i}-of-00002.safetensors`);

interface Goldens {
  readonly conversations: readonly {
    readonly prompt: string;
    readonly prompt_ids: readonly number[];
    readonly completion_ids: readonly number[];
    readonly min_margin: number;
  }[];
}

let gpu: TestDevice;
let config: Config;
let configFile: File;
let tensors: ReadonlyMap<string, Tensor>;
let tokenizer: TokenizerJson;
let shortest: Goldens['conversations'];

beforeAll(async () => {
  gpu = await openTestDevice();
  const configBytes = await readTestFile(`${NANO}/config.json`);
  configFile = new File([configBytes], 'config.json');
  config = parseConfig(JSON.parse(new TextDecoder().decode(configBytes)));
  const shards = await Promise.all(SHARDS.map((name) => readTestFile(`${NANO}/${name}`)));
  tensors = new Map(shards.flatMap((shard) => [...readSafetensors(shard)]));
  tokenizer = await readTestJson(`${NANO}/tokenizer.json`);
  const { conversations } = await readGoldenJson<Goldens>('nano.json');
  const length = (of: Goldens['conversations'][number]): number =>
    of.prompt_ids.length + of.completion_ids.length;
  shortest = conversations
    .filter(({ min_margin: margin }) => margin > 0.5)
    .sort((a, b) => length(a) - length(b))
    .slice(0, CONVERSATIONS);
});

afterAll(() => gpu.close());

function safetensors(of: ReadonlyMap<string, Tensor>): File[] {
  return [configFile, new File([writeSafetensors(of)], 'model.safetensors')];
}

/** Conversations per test: not all 50, because a software adapter takes seconds for each. */
const CONVERSATIONS = runsSlowTests ? 4 : 2;

/**
 * Counts the conversations that a model answers with every golden token, of the {@link CONVERSATIONS} shortest ones
 * without a close call. Each token is predicted from the golden tokens before it: the first one that differs is where a
 * greedy answer would differ, too.
 */
async function answered(engine: Engine): Promise<number> {
  let right = 0;
  for (const { prompt_ids: prompt, completion_ids: completion } of shortest) {
    const session = engine.createSession();
    const tokens = [...prompt, ...completion];
    const logits = await session.evaluate(tokens.slice(0, -1), { logits: 'all' });
    session.dispose();
    const isRight = completion.every((token, i) => {
      const at = (prompt.length - 1 + i) * config.vocabulary;
      return likeliest(logits.subarray(at, at + config.vocabulary)) === token;
    });
    right += Number(isRight);
  }
  return right;
}

describe('the embedded model with unpacked experts', () => {
  test('has bit for bit the logits of the published one', async () => {
    const published = await gpu.engine(safetensors(tensors));
    const unpacked = await gpu.engine(safetensors(unpackExperts(tensors)));
    for (const { prompt_ids: prompt } of shortest.slice(0, 3)) {
      const logits = await Promise.all(
        [published, unpacked].map((engine) =>
          engine.createSession().evaluate(prompt, { logits: 'all' }),
        ),
      );
      const [expected, actual] = logits as [Float32Array, Float32Array];
      expect(new Set(actual).size).toBeGreaterThan(1000);
      expect(actual.findIndex((logit, i) => logit !== expected[i])).toBe(-1);
    }
    expect(await answered(unpacked)).toBe(CONVERSATIONS);
  });

  // docs/formats.md has the numbers for all 50.
  slowTest(
    'gives the same answers if its experts are changed by a tenth, as by training',
    async () => {
      const engine = await gpu.engine(safetensors(unpackExperts(tensors, 0.1)));
      expect(await answered(engine)).toBeGreaterThanOrEqual(CONVERSATIONS - 1);
    },
  );
});

describe('the embedded model as a GGUF file', () => {
  test('answers, with the tokenizer in its metadata', async () => {
    const engine = await gpu.engine(createGguf(config, tensors, { tokenizer, parts: 3 }));
    expect(await answered(engine)).toBe(CONVERSATIONS);
    for (const { prompt, prompt_ids: ids } of shortest) {
      expect(engine.tokenizer.decode(ids)).toBe(prompt);
    }
    const { result } = engine.createSession().generate("What's 517-344", { temperature: 0 });
    expect((await result).text).toContain('173');
  });

  slowTest('answers with 8-bit matrices, which are used as they are', async () => {
    const files = createGguf(config, tensors, { dense: 'Q8_0', tokenizer });
    const engine = await gpu.engine(files, { dense: 'int8' });
    expect(await answered(engine)).toBe(CONVERSATIONS);
  });

  slowTest('has the same logits with unpacked experts as with MXFP4', async () => {
    const [{ prompt_ids: prompt }] = shortest as [Goldens['conversations'][number]];
    const packed = await gpu.engine(createGguf(config, tensors, { dense: 'F16' }));
    const expected = await packed.createSession().evaluate(prompt);
    const unpacked = await gpu.engine(
      createGguf(config, tensors, { dense: 'F16', experts: 'BF16' }),
    );
    expect(await unpacked.createSession().evaluate(prompt)).toEqual(expected);
  });
});
