import * as Comlink from 'comlink';
import { afterEach, expect, test } from 'vitest';
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
    return { reason: 'aborted' };
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
    (service, task) => service.generate(...task, [], {}),
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
