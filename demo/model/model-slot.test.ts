import { checkSupport, load, type Model, type SupportReport } from 'ossicle';
import { expect, test, vi } from 'vitest';
import { readLoadSettings, writeLoadSettings } from './cost/load-settings.ts';
import { ModelSlot } from './model-slot.ts';

vi.mock('ossicle', () => ({ checkSupport: vi.fn(), load: vi.fn() }));
vi.mock('./cost/load-settings.ts', () => ({
  readLoadSettings: vi.fn(() => ({ contextLength: 131_072 })),
  writeLoadSettings: vi.fn(),
}));
vi.mock('./stored-checkpoint.ts', () => ({ findStored: vi.fn() })); // it reads the page's URL

test('a large model makes room for one that would not fit beside it', async () => {
  let isLoaded = false;
  vi.mocked(load).mockImplementation(async () => {
    isLoaded = true;
    const dispose = async (): Promise<void> => {
      isLoaded = false;
    };
    return { info: { gpuBytes: 12e9 }, dispose } as unknown as Model;
  });
  vi.mocked(checkSupport).mockImplementation(async () => {
    const reasons = isLoaded ? ['The GPU did not give that much.'] : [];
    return { isSupported: !isLoaded, reasons } satisfies SupportReport;
  });
  const reports: SupportReport[] = [];
  const slot = new ModelSlot({
    agree: async (_, report) => {
      reports.push(report);
      return report.isSupported;
    },
    token: () => undefined,
  });
  const checkpoint = (name: string) =>
    ({ source: `owner/${name}`, name, origin: 'huggingface' }) as Parameters<ModelSlot['load']>[0];

  await slot.load(checkpoint('first'));
  await slot.load(checkpoint('second'));
  expect(reports).toEqual([]);
  expect(slot.state).toMatchObject({ status: 'ready', model: { checkpoint: { name: 'second' } } });
});

test('a large model that made room for one that is declined is loaded again', async () => {
  vi.mocked(load).mockClear();
  vi.mocked(load).mockImplementation(
    async () => ({ info: { gpuBytes: 12e9 }, dispose: async () => undefined }) as unknown as Model,
  );
  vi.mocked(checkSupport).mockResolvedValue({ isSupported: false, reasons: ['Too large.'] });
  const slot = new ModelSlot({ agree: async () => false, token: () => undefined });
  const first = { source: 'owner/first', name: 'first', origin: 'huggingface' } as const;
  await slot.load(first, true);
  await slot.load({ source: 'owner/second', name: 'second', origin: 'huggingface' });
  expect(slot.state).toMatchObject({ status: 'ready', model: { checkpoint: first } });
  expect(vi.mocked(load).mock.calls.map(([source]) => source)).toEqual([
    'owner/first',
    'owner/first',
  ]);
});

test.each([
  ['out-of-memory', 1],
  ['download-failed', 0],
])('choices of a load that ends with %s are given up %i times', async (code, times) => {
  vi.mocked(writeLoadSettings).mockClear();
  vi.mocked(load).mockRejectedValue(Object.assign(new Error('no'), { code }));
  const slot = new ModelSlot({ agree: async () => true, token: () => undefined });
  await slot.load({ source: 'owner/large', name: 'large', origin: 'huggingface' }, true);
  expect(slot.state.status).toBe('failed');
  expect(writeLoadSettings).toHaveBeenCalledTimes(times);
  if (times > 0) expect(writeLoadSettings).toHaveBeenCalledWith('owner/large', {});
});

test.each([
  ['that fit are kept', true, 131_072],
  ['that do not fit leave the model as it was', false, 8192],
])('choices for the model in use %s', async (_, fits, contextLength) => {
  const disposed = vi.fn();
  vi.mocked(writeLoadSettings).mockClear();
  vi.mocked(load).mockImplementation(
    async (_source, options) =>
      ({
        info: { gpuBytes: 12e9, contextLength: options?.contextLength },
        dispose: async () => disposed(),
      }) as unknown as Model,
  );
  vi.mocked(checkSupport).mockImplementation(async (_source, options) => {
    expect(options?.contextLength).toBe(131_072);
    return { isSupported: fits, reasons: [] };
  });
  vi.mocked(readLoadSettings).mockReturnValue({ contextLength: 8192 });
  const slot = new ModelSlot({
    agree: async (_checkpoint, { isSupported }) => isSupported,
    token: () => undefined,
  });
  const checkpoint = { source: 'owner/large', name: 'large', origin: 'huggingface' } as const;
  await slot.load(checkpoint, true);
  await slot.load(checkpoint, false, { contextLength: 131_072 });
  expect(slot.state).toMatchObject({
    status: 'ready',
    model: { model: { info: { contextLength } } },
  });
  expect(writeLoadSettings).toHaveBeenCalledTimes(fits ? 1 : 0);
  expect(disposed).toHaveBeenCalledTimes(1);
});
