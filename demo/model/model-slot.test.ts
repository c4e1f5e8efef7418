import { checkSupport, load, type Model, type SupportReport } from 'ossicle';
import { expect, test, vi } from 'vitest';
import { ModelSlot } from './model-slot.ts';

vi.mock('ossicle', () => ({ checkSupport: vi.fn(), load: vi.fn() }));
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
