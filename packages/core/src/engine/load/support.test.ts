import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { FaultSession } from '../../../test/fault-session.ts';
import type { LoadOptions } from '../../types/load.ts';
import { createEngine } from './create-engine.ts';
import { examineSupport } from './support.ts';

const NANO = 'demo/public/models/gpt-oss-nano';

/** The default limits of WebGPU. */
const LIMITS = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16384,
  maxStorageBuffersPerShaderStage: 8,
};

/** The properties of a fake GPU. */
interface FakeGpu {
  readonly limits?: Partial<typeof LIMITS>;
  /** Memory for allocations. Default: unlimited. */
  readonly memoryBytes?: number;
}

/** A device that only counts memory. */
function fakeDevice({ limits, memoryBytes = Infinity }: FakeGpu): GPUDevice {
  let heldBytes = 0;
  return {
    limits: { ...LIMITS, ...limits },
    lost: new Promise(() => undefined),
    adapterInfo: {},
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    pushErrorScope: () => undefined,
    popErrorScope: async () => (heldBytes > memoryBytes ? new Error('no memory') : null),
    createBuffer: ({ size }: GPUBufferDescriptor) => {
      heldBytes += size;
      return {
        size,
        destroy: () => {
          heldBytes -= size;
        },
      };
    },
    createCommandEncoder: () => ({ copyBufferToBuffer: () => undefined, finish: () => ({}) }),
    queue: {
      submit: () => undefined,
      writeBuffer: () => undefined,
      onSubmittedWorkDone: () => new Promise((resolve) => setTimeout(resolve, 1)),
    },
    destroy: () => undefined,
  } as unknown as GPUDevice;
}

function useGpu(gpu: FakeGpu | undefined): void {
  const adapter = gpu && {
    features: new Set(['shader-f16']),
    limits: { ...LIMITS, ...gpu.limits },
    info: { vendor: 'acme', architecture: 'one', description: '', device: 'toaster' },
    requestDevice: async () => fakeDevice(gpu),
  };
  vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => adapter ?? null } });
}

let session: FaultSession;

beforeEach(async () => {
  vi.stubGlobal('GPUBufferUsage', { STORAGE: 1, COPY_SRC: 2, COPY_DST: 4, UNIFORM: 8 });
  useGpu({});
  session = await FaultSession.start(inject('faultServer'), { folder: NANO });
});
afterEach(() => vi.unstubAllGlobals());

/** Expects requests for JSON, sizes and the first 64 KiB of weights only. */
async function expectHeadersOnly(): Promise<void> {
  const log = await session.log();
  expect(log.length).toBeGreaterThan(3);
  expect(log.length).toBeLessThan(16);
  const weights = log.filter(({ path }) => path.endsWith('.safetensors'));
  expect(weights.length).toBeGreaterThan(0);
  for (const { path, range } of weights) {
    expect(range?.[0], path).toBe(0);
    expect(range?.[1], path).toBeLessThanOrEqual(65536);
  }
  expect(await session.sentBytes('tokenizer.json')).toBeLessThanOrEqual(1);
}

/** The error of a load with these options. */
async function refusal(gpu: FakeGpu, options = {}): Promise<{ code: string; message: string }> {
  await session.script();
  const device = fakeDevice(gpu);
  const loading = createEngine({ device, source: session.url, ...options });
  return loading.then(
    () => expect.fail('it loads'),
    (error) => error,
  );
}

describe('examineSupport', () => {
  test('reports the size and top speed of a model from its headers alone', async () => {
    const report = await examineSupport(session.url, { contextLength: 1024 });
    expect(report).toMatchObject({
      isSupported: true,
      reasons: [],
      adapter: { vendor: 'acme', description: 'toaster' },
      features: ['shader-f16'],
      model: { id: session.url, isStored: false },
    });
    const { model, speed, limits } = report;
    expect(model?.missingBytes).toBe(model?.totalBytes);
    expect(limits).toContainEqual({
      name: 'maxComputeInvocationsPerWorkgroup',
      needed: 256,
      available: 256,
    });
    expect(limits).toContainEqual({
      name: 'maxStorageBufferBindingSize',
      needed: expect.any(Number),
      available: 2 ** 27,
    });
    const { maxTokensPerSecond, bytesPerToken, bytesPerSecond } = speed!;
    expect(bytesPerToken).toBeLessThan(model!.gpuBytes);
    expect(maxTokensPerSecond).toBeCloseTo(bytesPerSecond / bytesPerToken);
    await expectHeadersOnly();
    expect(await session.sentBytes('.safetensors')).toBeLessThanOrEqual(2 * 65536 + 4);
  });

  test('rejects with the reason of an abort, also during the adapter request', async () => {
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    await expect(examineSupport(session.url, { signal })).rejects.toBe(reason);
    expect(await session.log()).toEqual([]);
    const stop = new AbortController();
    useGpu({});
    const requestAdapter = navigator.gpu.requestAdapter.bind(navigator.gpu);
    navigator.gpu.requestAdapter = () => {
      stop.abort(reason);
      return requestAdapter();
    };
    await expect(examineSupport(session.url, { signal: stop.signal })).rejects.toBe(reason);
    expect(await session.log()).toEqual([]);
  });

  test('counts no missing bytes if nothing is to be stored', async () => {
    const { model } = await examineSupport(session.url, { store: false });
    expect(model).toMatchObject({ isStored: false, missingBytes: 0 });
  });

  test('sends no request without a source', async () => {
    const report = await examineSupport();
    expect(report).toMatchObject({ isSupported: true, adapter: { vendor: 'acme' } });
    expect(report.limits?.map(({ name }) => name)).toContain('maxStorageBuffersPerShaderStage');
    expect(report).not.toHaveProperty('model');
    expect(report).not.toHaveProperty('speed');
    useGpu({ limits: { maxStorageBuffersPerShaderStage: 4 } });
    expect((await examineSupport()).reasons).toEqual([
      expect.stringMatching(/maxStorageBuffersPerShaderStage 4; ossicle needs 8\. Use another/),
    ]);
  });
});

describe('examineSupport gives a reason with a remedy', () => {
  const expectReason = async (pattern: RegExp, options = {}): Promise<string> => {
    const report = await examineSupport(session.url, options);
    expect(report.isSupported).toBe(false);
    expect(report.reasons).toEqual([expect.stringMatching(pattern)]);
    expect(report.model?.gpuBytes).toBeGreaterThan(0);
    expect(report).not.toHaveProperty('speed');
    await expectHeadersOnly();
    return report.reasons[0]!;
  };

  test('on a browser without WebGPU', async () => {
    vi.stubGlobal('navigator', {});
    await expectReason(/has no WebGPU\. Use a current Chrome or Edge/);
  });

  test('on a page that is not secure', async () => {
    vi.stubGlobal('navigator', {});
    vi.stubGlobal('isSecureContext', false);
    vi.stubGlobal('crypto', {});
    await expectReason(/not secure.*HTTPS, or from localhost/);
    const files = [new File(['{}'], 'config.json')];
    await expect(examineSupport(files)).rejects.toMatchObject({ name: 'OssicleError' });
  });

  test('on a machine without an adapter', async () => {
    useGpu(undefined);
    await expectReason(
      /no graphics adapter\. Update the graphics driver.*reload.*restart the browser/,
    );
  });

  test('if limits are too small, and a load fails with the same message', async () => {
    const gpu = { limits: { maxStorageBufferBindingSize: 2 ** 16 } };
    useGpu(gpu);
    const options = { contextLength: 4096, prefillChunkLength: 8 } satisfies LoadOptions;
    const reason = await expectReason(/4096 tokens.*contextLength of at most \d+/, options);
    const error = await refusal(gpu, options);
    expect(error).toMatchObject({ code: 'device-unsuitable', message: reason });
    await expectHeadersOnly();
  });

  test.each([0.01, 0.999])(
    'if the GPU has %d of the memory needed, and a load fails with the same message',
    async (share) => {
      const memoryBytes = share * (await examineSupport(session.url)).model!.gpuBytes;
      await session.script();
      useGpu({ memoryBytes });
      const reason = await expectReason(/ GB of GPU memory.*Close other.*contextLength below/);
      const error = await refusal({ memoryBytes });
      expect(error).toMatchObject({ code: 'out-of-memory' });
      expect(error.message).toContain(reason);
      await expectHeadersOnly();
    },
  );
});

test('invalid options throw the same error types as load()', async () => {
  await expect(examineSupport(session.url, { contextLength: 0 })).rejects.toThrow(RangeError);
  await expect(examineSupport('nonsense')).rejects.toThrow(TypeError);
});
