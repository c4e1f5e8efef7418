import { createTokenizer } from '@ossicle/harmony';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { type Config, parseConfig } from '../../test/config.ts';
import { FaultSession } from '../../test/fault-session.ts';
import { testFileUrl } from '../../test/files.ts';
import { createGguf } from '../../test/gguf-checkpoint.ts';
import { type NanoGolden, readGoldenJson } from '../../test/golden.ts';
import { expectRecorded, shortest } from '../../test/recorded.ts';
import { readSafetensors, type Tensor } from '../../test/safetensors-file.ts';
import { WEATHER } from '../../test/weather.ts';
import { isOssicleError, OssicleError } from '../errors.ts';
import type { GenerateEvent, GenerateOptions } from '../types/generate.ts';
import type { LoadProgress } from '../types/load.ts';
import { checkSupport } from './check-support.ts';
import { load } from './load.ts';
import type { Model } from './model.ts';
import { store } from './model-store.ts';

const NANO = testFileUrl('demo/public/models/gpt-oss-nano');
const QUESTION = 'What is 17 + 25?';

let model: Model;
const progress: LoadProgress[] = [];
const reported: unknown[] = [];
const mistake = new Error("the application's");

/** The configuration and the tensors of the embedded model. */
async function readNano(): Promise<[Config, Map<string, Tensor>]> {
  const read = async (name: string): Promise<Response> => fetch(`${NANO}/${name}`);
  const shards = [1, 2].map((i) => `model-0000${i}-of-00002.safetensors`);
  const tensors = await Promise.all(
    shards.map(async (name) => [
      ...readSafetensors(new Uint8Array(await (await read(name)).arrayBuffer())),
    ]),
  );
  return [parseConfig(await (await read('config.json')).json()), new Map(tensors.flat())];
}

beforeAll(async () => {
  for (const { id } of await store.list()) await store.remove(id); // left by other test files
  const report = vi.spyOn(globalThis, 'reportError');
  report.mockImplementation((error) => void reported.push(error));
  const onProgress = (event: LoadProgress): void => {
    progress.push(event);
    if (event.phase === 'upload') throw mistake;
  };
  model = await load(NANO, { dense: 'bf16', contextLength: 1024, onProgress });
});

afterAll(async () => {
  await model.dispose();
  for (const { id } of await store.list()) await store.remove(id);
});

test('a load reports its progress by phase, and describes the model', async () => {
  const phases = progress.map(({ phase }) => phase);
  expect([...new Set(phases)]).toEqual(['download', 'compile', 'upload', 'ready']);
  for (const { loadedBytes, totalBytes } of progress) {
    expect(loadedBytes).toBeLessThanOrEqual(totalBytes);
  }
  expect(model.info).toMatchObject({ contextLength: 1024, dense: 'bf16', kvCache: 'f32' });
  expect(model.info.parameterCount).toBe(2_992_208);
  expect(await store.list()).toMatchObject([{ id: model.info.id, complete: true }]);
});

test('a diagnosis of the model in the worker says that its kernels are right', async () => {
  const { text, selfTest, adapter, model: described } = await model.diagnose();
  expect(selfTest.passed).toBe(true);
  expect(adapter).toEqual(model.info.adapter);
  expect(described).toMatchObject({ id: model.info.id, dense: 'bf16', kvCache: 'f32' });
  expect(text).toContain(`model: ${model.info.id}`);
  expect(text).toContain('browser: Mozilla');
});

test('options that steer an answer reach the worker', async () => {
  const answer = (options: GenerateOptions) =>
    model.generate(QUESTION, { temperature: 0, maxTokens: 12, ...options }).result;
  const { text, reasoning } = await answer({ prefillText: '17 + 25 =' });
  expect(text).toMatch(/^17 \+ 25 = \d/);
  expect(reasoning).toBe('');
  expect((await answer({ reasoningBudget: 2 })).usage.reasoningTokens).toBe(2);
  const biased = await answer({ logitBias: new Map([[46, 100]]) });
  expect(biased.reasoning + biased.text).toMatch(/^(.+?)\1{4,}$/); // one token again and again
  await expect(answer({ logitBias: { 1000000: 1 } })).rejects.toThrow(/run from 0 to/);
});

test('errors thrown by onProgress are reported like those of event listeners, and nothing stops', async () => {
  const uploads = progress.filter(({ phase }) => phase === 'upload');
  expect(reported).toEqual(uploads.map(() => mistake));
  const onProgress = (): never => {
    throw mistake;
  };
  expect(await store.verify(model.info.id, { onProgress })).toMatchObject({ isIntact: true });
  expect(reported.length).toBeGreaterThan(uploads.length);
});

test('checkSupport() describes a stored model without a request, with a measured speed', async () => {
  const requests = (): number =>
    performance.getEntriesByType('resource').filter(({ name }) => name.startsWith(NANO)).length;
  const before = requests();
  const { isSupported, reasons, model: found, speed } = await checkSupport(NANO);
  expect(requests()).toBe(before);
  expect({ isSupported, reasons }).toEqual({ isSupported: true, reasons: [] });
  expect(found).toMatchObject({ id: model.info.id, isStored: true, missingBytes: 0 });
  expect(speed?.maxTokensPerSecond).toBeGreaterThan(0);
});

test('gpt-oss-nano gives the recorded answer for each of several skills', async () => {
  const { conversations } = await readGoldenJson<NanoGolden>('nano.json');
  const skills = ['mul', 'greet', 'faq', 'json', 'policy', 'tool_call'];
  const tokenizer = createTokenizer(await (await fetch(`${NANO}/tokenizer.json`)).json());
  await expectRecorded(model, tokenizer, shortest(conversations, skills));
});

describe('a generation', () => {
  test('streams its prefill, reasoning, answer and finish, and has them all in its result', async () => {
    const generation = model.generate(QUESTION, { temperature: 0 });
    const events: GenerateEvent[] = [];
    for await (const event of generation) events.push(event);
    const types = events.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1]);
    expect(types).toEqual(['prefill', 'reasoning-delta', 'text-delta', 'step-finish', 'finish']);
    const join = (type: 'reasoning-delta' | 'text-delta'): string =>
      events.map((event) => (event.type === type ? event.text : '')).join('');
    const result = await generation.result;
    expect(result.text).toBe('17 + 25 = 42');
    expect(join('text-delta')).toBe(result.text);
    expect(join('reasoning-delta')).toBe(result.reasoning);
    expect(result.messages.map(({ channel }) => channel)).toEqual(['analysis', 'final']);
  });

  test('stops if its iteration is left, and the next one is answered', async () => {
    const generation = model.generate(QUESTION, { temperature: 0 });
    for await (const { type } of generation) if (type === 'reasoning-delta') break;
    expect((await generation.result).reason).toBe('aborted');
    expect((await model.generate(QUESTION, { temperature: 0 }).result).text).toBe('17 + 25 = 42');
  });

  test('ends as aborted if its signal aborts, even before it begins', async () => {
    const running = new AbortController();
    const waiting = new AbortController();
    const first = model.generate(QUESTION, { temperature: 0, signal: running.signal });
    const second = model.generate(QUESTION, { temperature: 0, signal: waiting.signal });
    waiting.abort();
    expect((await second.result).reason).toBe('aborted');
    running.abort();
    expect((await first.result).reason).toBe('aborted');
    expect((await model.generate(QUESTION, { signal: AbortSignal.abort() }).result).reason).toBe(
      'aborted',
    );
  });

  test('runs the page’s tools and answers with their results', async () => {
    const inputs: unknown[] = [];
    const generation = model.generate('What is the weather in Paris?', {
      temperature: 0,
      tools: [
        {
          ...WEATHER,
          execute: (input, options) => {
            inputs.push(input);
            return WEATHER.execute?.(input, options);
          },
        },
      ],
    });
    const result = await generation.result;
    expect(inputs).toEqual([{ location: 'Paris' }]);
    expect(result.reason).toBe('stop');
    expect(result.text).toContain('21');
    expect(result.messages.map(({ role }) => role)).toContain('tool');
  });

  test('rejects with the class and the code of an error in the worker', async () => {
    await expect(model.generate(QUESTION, { topP: 2 }).result).rejects.toThrow(RangeError);
    const long = 'word '.repeat(2000);
    const error: unknown = await model.generate(long).result.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OssicleError);
    expect(error).toMatchObject({ name: 'OssicleError', code: 'context-overflow' });
    expect(isOssicleError(error) && error.message).toMatch(/\d+ tokens.*1024/);
  });
});

test('countTokens() counts the tokens of a prompt as a generation does', async () => {
  const { usage } = await model.generate(QUESTION, { maxTokens: 1 }).result;
  expect(await model.countTokens(QUESTION)).toBe(usage.promptTokens);
});

describe('a load', () => {
  test('rejects with the reason of its signal if it is aborted', async () => {
    const stop = new AbortController();
    const reason = new Error('enough');
    const loading = load(NANO, { signal: stop.signal, onProgress: () => stop.abort(reason) });
    await expect(loading).rejects.toBe(reason);
    await expect(load(NANO, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test('of a model that does not fit reads only headers, and rejects in the words of checkSupport()', async () => {
    const config = await (await fetch(`${NANO}/config.json`)).json();
    const session = await FaultSession.start(inject('faultServer'), {
      folder: 'demo/public/models/gpt-oss-nano',
      json: { 'config.json': { ...config, max_position_embeddings: 2 ** 24 } },
    });
    const options = { contextLength: 2 ** 24 };
    const { isSupported, reasons } = await checkSupport(session.url, options);
    expect({ isSupported, reasons }).toEqual({
      isSupported: false,
      reasons: [expect.stringMatching(/16777216 tokens.*contextLength of at most \d+/)],
    });
    await session.script();
    await expect(load(session.url, options)).rejects.toMatchObject({
      code: 'device-unsuitable',
      message: reasons.join(' '),
    });
    const log = await session.log();
    expect(log.length).toBeGreaterThan(3);
    for (const { path, range } of log) {
      const isHeader = range && range[0] === 0 && range[1] <= 65536;
      expect(isHeader || path.endsWith('.json'), path).toBe(true);
    }
    expect(await session.sentBytes('tokenizer.json')).toBeLessThanOrEqual(1);
    expect(await store.list()).toHaveLength(1);
  });

  test('of a repo with one GGUF file succeeds, and succeeds again without the server', async () => {
    const tokenizer = await (await fetch(`${NANO}/tokenizer.json`)).json();
    const [file] = createGguf(...(await readNano()), { tokenizer }) as [File];
    const session = await FaultSession.start(inject('faultServer'), {
      json: { 'api/models/o/nano/revision/main': { siblings: [{ rfilename: 'nano-mxfp4.gguf' }] } },
    });
    await session.put('o/nano/resolve/main/nano-mxfp4.gguf', file);
    const options = { contextLength: 512, huggingFace: { baseUrl: session.url } };
    const first = await load('o/nano', options);
    expect(first.info.id).toBe(`o/nano@main via ${session.url.replace(/\/$/, '')}`);
    await first.dispose();
    await session.script({ fault: { kind: 'status', status: 500 } });
    const second = await load('o/nano', options);
    const { text } = await second.generate(QUESTION, { temperature: 0 }).result;
    expect(text).toBe('17 + 25 = 42');
    await second.dispose();
    expect(await session.log()).toEqual([]);
  });

  test('of a source that does not exist says so', async () => {
    await expect(load(testFileUrl('demo/public/none'))).rejects.toMatchObject({
      code: 'download-failed',
    });
    await expect(load('nonsense')).rejects.toThrow(TypeError);
    await expect(load(NANO, { contextLength: 0 })).rejects.toThrow(RangeError);
    const huggingFace = { baseUrl: () => 'https://mirror.example' } as never;
    await expect(load('o/n', { huggingFace })).rejects.toThrow(TypeError);
  });
});

test('disposing of a model fails the calls in progress and later ones', async () => {
  const other = await load(NANO, { contextLength: 512 });
  const running = other.generate('Count down from 10.', { temperature: 0 });
  const disposed = other.dispose();
  await expect(running.result).rejects.toMatchObject({ code: 'disposed' });
  await disposed;
  await expect(other.generate(QUESTION).result).rejects.toMatchObject({ code: 'disposed' });
  await expect(other.countTokens(QUESTION)).rejects.toMatchObject({ code: 'disposed' });
  await other.dispose();
});
