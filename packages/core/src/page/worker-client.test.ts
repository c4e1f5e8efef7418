import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as Comlink from 'comlink';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { GenerateEvent, GenerateResult } from '../types/generate.ts';
import type { ModelInfo } from '../types/load.ts';
import type { Report } from '../worker/model-service.ts';
import { WorkerModel } from './model.ts';
import { WorkerClient } from './worker-client.ts';

/** Records its calls. A generation reports three times, and answers when it is aborted. */
class FakeService {
  readonly calls: string[] = [];
  #abort: () => void = () => undefined;
  readonly #aborted = new Promise<void>((resolve) => {
    this.#abort = resolve;
  });

  async generate(id: number, report: Report<unknown>): Promise<Partial<GenerateResult>> {
    this.calls.push(`generate ${id}`);
    for (const text of ['a', 'b', 'c']) await report({ type: 'text-delta', text });
    await this.#aborted;
    const usage = { promptTokens: 0, reusedTokens: 0, completionTokens: 0, reasoningTokens: 0 };
    return { reason: 'aborted', messages: [], usage };
  }

  abort(id: number): void {
    this.calls.push(`abort ${id}`);
    this.#abort();
  }
}

const ports: MessagePort[] = [];

afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

/** A client whose worker is the other end of a message channel. */
function createClient(): { calls: readonly string[]; client: WorkerClient } {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  const service = new FakeService();
  Comlink.expose(service, port2);
  const worker = Object.assign(port1, { terminate: () => port1.close() }) as unknown as Worker;
  return { calls: service.calls, client: new WorkerClient(worker) };
}

function createModel(): { calls: readonly string[]; model: WorkerModel } {
  const { calls, client } = createClient();
  return { calls, model: new WorkerModel(client, {} as ModelInfo) };
}

test('a generation that is aborted before it begins reaches the worker, followed by its abort', async () => {
  const { calls, model } = createModel();
  const { result } = model.generate('Hi', { signal: AbortSignal.abort() });
  expect(await result).toMatchObject({ reason: 'aborted' });
  expect(calls).toEqual(['generate 1', 'abort 1']);
});

test('an abort reaches the worker before the start has been answered', async () => {
  const { calls, model } = createModel();
  const controller = new AbortController();
  const { result } = model.generate('Hi', { signal: controller.signal });
  controller.abort();
  expect(await result).toMatchObject({ reason: 'aborted' });
  expect(calls).toEqual(['generate 1', 'abort 1']);
});

test('reports arrive in order, before the answer', async () => {
  const { client } = createClient();
  const controller = new AbortController();
  const texts: unknown[] = [];
  await client.run<GenerateResult, GenerateEvent>(
    (service, task) => service.generate(...task, 1, [], {}, []),
    {
      signal: controller.signal,
      onReport: (event) => {
        texts.push('text' in event && event.text);
        if (texts.length === 3) controller.abort();
      },
    },
  );
  expect(texts).toEqual(['a', 'b', 'c']);
});

test('an answer that has been read can be collected while the worker lives', async () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const { client } = createClient();
  const answers: WeakRef<object>[] = [];
  for (let i = 0; i < 3; i++) {
    await client.call(async () => {
      const answer = { i };
      answers.push(new WeakRef(answer));
      return answer;
    });
  }
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect(answers.map((answer) => answer.deref())).toEqual([undefined, undefined, undefined]);
  await client.dispose();
});

test('the functions of tools stay on the page', async () => {
  const { client } = createClient();
  const sent: unknown[] = [];
  const call = client.call.bind(client);
  client.call = (use) =>
    call((service) =>
      use(
        new Proxy(service, {
          get: (target, name) =>
            name === 'countTokens'
              ? async (...args: unknown[]) => sent.push(structuredClone(args))
              : Reflect.get(target, name),
        }),
      ),
    );
  const model = new WorkerModel(client, {} as ModelInfo);
  const tool = { name: 'f', execute: () => 1, toModelOutput: () => '' };
  const builtInTools = [
    { name: 'n', tools: [tool] },
    { ...tool, name: 'p', reset: () => undefined },
  ];
  await model.countTokens('Hi', { tools: [tool], builtInTools });
  expect(sent).toEqual([
    [
      'Hi',
      {
        tools: [{ name: 'f' }],
        builtInTools: [{ name: 'n', tools: [{ name: 'f' }] }, { name: 'p' }],
      },
    ],
  ]);
});

test.each([
  [{ tools: 'x' }, TypeError],
  [{ signal: {} }, TypeError],
  [null, TypeError],
  [{ instructions: 5 }, TypeError],
  [{ currentDate: {} }, TypeError],
  [{ topP: 2 }, RangeError],
])(
  'wrong options reject the result and the iteration, and never reach the worker: %j',
  async (options, Class) => {
    const { calls, model } = createModel();
    const generation = model.generate('Hi', options as never);
    await expect(generation.result).rejects.toThrow(Class);
    await expect(generation[Symbol.asyncIterator]().next()).rejects.toThrow(Class);
    await expect(model.countTokens('Hi', options as never)).rejects.toThrow(Class);
    expect(calls).toEqual([]);
  },
);

describe('a worker that does not answer', () => {
  /** A model whose worker is busy from now on, and whether it was terminated. */
  function createBusyModel(): {
    model: WorkerModel;
    client: WorkerClient;
    isTerminated: () => boolean;
  } {
    const { port1, port2 } = new MessageChannel();
    ports.push(port1, port2); // nobody listens to port2
    const terminate = vi.fn(() => port1.close());
    const client = new WorkerClient(Object.assign(port1, { terminate }) as unknown as Worker);
    const isTerminated = (): boolean => terminate.mock.calls.length > 0;
    return { model: new WorkerModel(client, {} as ModelInfo), client, isTerminated };
  }

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    return () => vi.useRealTimers();
  });

  test('is terminated some seconds after an abort, which ends the generation as aborted', async () => {
    const { model, isTerminated } = createBusyModel();
    const controller = new AbortController();
    const { result } = model.generate('Hi', { signal: controller.signal });
    const other = model.countTokens('Hi');
    other.catch(() => undefined);
    controller.abort();
    await vi.advanceTimersByTimeAsync(2000);
    expect(isTerminated()).toBe(false);
    await vi.advanceTimersByTimeAsync(2000);
    expect(await result).toMatchObject({ text: '', reason: 'aborted', messages: [] });
    expect(isTerminated()).toBe(true);
    await expect(other).rejects.toMatchObject({ code: 'worker-failed' });
    await expect(model.generate('Hi').result).rejects.toMatchObject({
      code: 'worker-failed',
      message: expect.stringMatching(/did not answer 3 s after an abort.*Load the model again/),
    });
    expect(vi.getTimerCount()).toBe(0);
  });

  test('loses nothing that arrived before the abort', async () => {
    const { port1, port2 } = new MessageChannel();
    ports.push(port1, port2);
    const call = { id: 'call_0', name: 'add', input: { a: 1 }, inputText: '{"a":1}' };
    const events: GenerateEvent[] = [
      { type: 'reasoning-delta', text: 'Add ' },
      { type: 'reasoning-delta', text: 'it.' },
      { type: 'tool-call', ...call },
      { type: 'text-delta', text: 'First. ', channel: 'commentary' },
      { type: 'text-delta', text: 'It', channel: 'final' },
    ];
    Comlink.expose(
      {
        generate: async (_: number, report: Report<GenerateEvent>) => {
          for (const event of events) await report(event);
          return new Promise(() => undefined);
        },
        abort: () => new Promise(() => undefined),
      },
      port2,
    );
    const worker = Object.assign(port1, { terminate: () => port1.close() }) as unknown as Worker;
    const model = new WorkerModel(new WorkerClient(worker), {} as ModelInfo);
    const controller = new AbortController();
    const generation = model.generate('Hi', {
      tools: [{ name: 'add' }],
      signal: controller.signal,
    });
    let texts = 0;
    for await (const { type } of generation) {
      if (type !== 'text-delta' || ++texts < 2) continue;
      controller.abort();
      await vi.advanceTimersByTimeAsync(4000);
    }
    const { usage: _, timings: __, ...result } = await generation.result;
    expect(result).toEqual({
      text: 'It',
      reasoning: 'Add it.',
      toolCalls: [call],
      messages: [
        { role: 'assistant', channel: 'analysis', content: 'Add it.' },
        { role: 'assistant', channel: 'commentary', content: 'First. ' },
        {
          role: 'assistant',
          channel: 'commentary',
          recipient: 'functions.add',
          content: '{"a":1}',
        },
        { role: 'assistant', channel: 'final', content: 'It' },
      ],
      reason: 'aborted',
    });
  });

  test('fails the calls in progress after a minute', async () => {
    const { model, isTerminated } = createBusyModel();
    const { result } = model.generate('Hi');
    result.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(55_000);
    expect(isTerminated()).toBe(false);
    await vi.advanceTimersByTimeAsync(15_000);
    await expect(result).rejects.toMatchObject({
      code: 'worker-failed',
      message: expect.stringContaining('did not answer for 60 s'),
    });
    expect(isTerminated()).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is not confused with one whose task takes long', async () => {
    const { calls, model } = createModel();
    const controller = new AbortController();
    const { result } = model.generate('Hi', { signal: controller.signal });
    for (let i = 0; i < 100; i++) {
      await vi.advanceTimersByTimeAsync(5000);
      for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    controller.abort();
    expect(await result).toMatchObject({ reason: 'aborted' });
    expect(calls).toEqual(['generate 1', 'abort 1']);
  });
});
