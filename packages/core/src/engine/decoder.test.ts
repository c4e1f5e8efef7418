import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Dispatch } from '../gpu/kernel.ts';
import type { Context } from './context.ts';
import { Decoder } from './decoder.ts';
import type { Runtime } from './runtime.ts';
import { parseSamplingOptions } from './sampling-options.ts';

beforeAll(() => {
  vi.stubGlobal('GPUBufferUsage', { MAP_READ: 1, COPY_DST: 8 });
  vi.stubGlobal('GPUMapMode', { READ: 1 });
});

afterAll(() => vi.unstubAllGlobals());

function dispatch(label: string): Dispatch {
  return {
    label,
    pipeline: { label },
    bindGroup: {},
    workgroups: [1, 1, 1],
  } as unknown as Dispatch;
}

/** Carries out what is submitted: `sample` chooses 100, 101, …; a token arrives when the test lets it. */
class FakeGpu {
  /** The dispatches of each submit. */
  readonly submits: string[][] = [];
  readonly written = new Map<string, Uint32Array>();
  readonly #waiting: (() => void)[] = [];
  #isHeld = false;
  #token = 99;

  readonly device = {
    limits: { maxBufferSize: 2 ** 28 },
    pushErrorScope: () => undefined,
    popErrorScope: async () => null,
    createBuffer: ({ label, size }: { label: string; size: number }) => this.#buffer(label, size),
    createCommandEncoder: () => this.#encoder(),
    queue: {
      submit: (commands: readonly (() => void)[]) => {
        for (const run of commands) run();
      },
      writeBuffer: ({ label }: { label: string }, _: number, data: Uint32Array | ArrayBuffer) =>
        this.written.set(label, data instanceof ArrayBuffer ? new Uint32Array(data) : data),
    },
  };

  check(): void {}

  settle<T>(work: Promise<T>): Promise<T> {
    return work;
  }

  /** Lets no token arrive until {@link FakeGpu.release}. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    for (const arrive of this.#waiting.splice(0)) arrive();
  }

  #buffer(label: string, size: number) {
    const data = new Uint32Array(size / 4);
    return {
      label,
      size,
      data,
      mapAsync: () =>
        new Promise<void>((resolve) => {
          if (this.#isHeld) this.#waiting.push(resolve);
          else resolve();
        }),
      getMappedRange: () => data.buffer,
      unmap: () => undefined,
      destroy: () => undefined,
    };
  }

  #encoder() {
    const labels: string[] = [];
    const copies: { data: Uint32Array }[] = [];
    return {
      beginComputePass: () => ({
        setPipeline: ({ label }: { label: string }) => labels.push(label),
        setBindGroup: () => undefined,
        dispatchWorkgroups: () => undefined,
        end: () => undefined,
      }),
      copyBufferToBuffer: (_from: unknown, _offset: number, to: { data: Uint32Array }) =>
        copies.push(to),
      finish: () => () => {
        this.submits.push(labels);
        if (labels.includes('sample')) this.#token++;
        for (const { data } of copies) data.fill(this.#token);
      },
    };
  }
}

let gpu: FakeGpu;
let decoder: Decoder;
const recordDecode = vi.fn();

beforeEach(() => {
  gpu = new FakeGpu();
  recordDecode.mockReset();
  const [few, many] = [[dispatch('decode')], [dispatch('decode')]];
  const context = {
    decodeDispatches: (step: number) => (step < 4 ? few : many),
    recordDecode,
  } as unknown as Context;
  const buffer = (label: string) => ({ label, size: 4 * 160, data: new Uint32Array(160) });
  const runtime = {
    gpu,
    shape: { vocabularySize: 160 },
    kernels: { sample: () => [dispatch('sample')] },
    activations: {
      tokens: buffer('tokens'),
      logits: buffer('logits'),
      sampling: { options: buffer('options'), seen: buffer('seen') },
    },
  } as unknown as Runtime;
  decoder = new Decoder(runtime, context);
});

async function decode(
  maxTokens: number,
  { withLogits = false, leaveAfter = Infinity } = {},
): Promise<number[]> {
  const accepted: number[] = [];
  for await (const { token, logits } of decoder.decode(maxTokens, withLogits, accepted)) {
    expect(logits === undefined).toBe(!withLogits);
    accepted.push(token);
    if (accepted.length === leaveAfter) break;
  }
  return accepted;
}

describe('a decoder', () => {
  test('samples the first token from the prefill’s logits, and evaluates each before the next', async () => {
    expect(await decode(6)).toEqual([100, 101, 102, 103, 104, 105]);
    expect(gpu.submits).toEqual([['sample'], ...new Array(5).fill(['decode', 'sample'])]);
    expect(recordDecode).toHaveBeenCalledExactlyOnceWith([100, 101, 102, 103, 104, 105], 5);
  });

  test('submits up to four steps before the first token has arrived', async () => {
    gpu.hold();
    const tokens = decode(20);
    await vi.waitFor(() => expect(gpu.submits.length).toBeGreaterThan(0));
    expect(gpu.submits).toHaveLength(4);
    gpu.release();
    expect(await tokens).toEqual(Array.from({ length: 20 }, (_, i) => 100 + i));
    expect(gpu.submits).toHaveLength(20);
  });

  test('submits no step beyond the last token', async () => {
    expect(await decode(1)).toEqual([100]);
    expect(gpu.submits).toEqual([['sample']]);
    expect(recordDecode).toHaveBeenCalledExactlyOnceWith([100], 0);
  });

  test('that is left waits for the steps under way, and records them with what was accepted', async () => {
    const accepted: number[] = [];
    const tokens = decoder.decode(20, false, accepted);
    accepted.push((await tokens.next()).value!.token);
    gpu.hold(); // what is submitted from now on
    accepted.push((await tokens.next()).value!.token);
    const steps = gpu.submits.length - 1;
    expect(steps).toBeGreaterThan(2);
    let hasLeft = false;
    const leaving = tokens.return().then(() => {
      hasLeft = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(hasLeft).toBe(false);
    expect(recordDecode).not.toHaveBeenCalled();
    gpu.release();
    await leaving;
    expect(hasLeft).toBe(true);
    expect(recordDecode).toHaveBeenCalledExactlyOnceWith([100, 101], steps);
  });

  test('gives logits with each token, and then runs no step ahead', async () => {
    expect(await decode(20, { withLogits: true, leaveAfter: 3 })).toEqual([100, 101, 102]);
    const withDispatches = gpu.submits.filter((labels) => labels.length > 0);
    expect(withDispatches).toEqual([['sample'], ['decode'], ['sample'], ['decode'], ['sample']]);
    expect(recordDecode).toHaveBeenCalledExactlyOnceWith([100, 101, 102], 2);
  });

  test('marks the tokens that have occurred, a bit for each', () => {
    decoder.prepare(parseSamplingOptions({ seed: 1 }), [0, 31, 32, 39, 31]);
    expect([...gpu.written.get('seen')!]).toEqual([0x80000001, 0b10000001, 0, 0, 0]);
    expect(gpu.written.has('options')).toBe(true);
  });
});
