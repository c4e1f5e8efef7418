// The page for visitors: what `npm run bench:gpu` measures, in any browser.
import { huggingFaceConfig, PRESETS, type PresetName } from '../../packages/core/test/config.ts';
import { FULL_RUN, type GpuReport, measureGpu } from '../gpu/measure.ts';
import { kernelTable, rooflineSvg } from '../gpu/roofline.ts';
import { adapterName, formatTable, isSoftware, recordRows } from '../records.ts';
import { startWorkerSide } from './worker-side.ts';

declare global {
  /** The checkout that this page was built from. */
  const OSSICLE_COMMIT: string;
}

/** A small run for the small model, which has no depth to speak of. */
const SMALL_RUN = { ...FULL_RUN, prompts: [8, 64], depths: [1, 128], decode: 16, repeat: 2 };

const MINUTES = 18;

const start = element('start', HTMLButtonElement);
const copy = element('copy', HTMLButtonElement);
const config = element('config', HTMLSelectElement);
const status = element('status', HTMLElement);

start.addEventListener('click', () => {
  start.disabled = true;
  measure(config.value as PresetName).catch((error: unknown) => {
    status.textContent = `Failed: ${error instanceof Error ? error.message : error}`;
    start.disabled = false;
  });
});

async function measure(preset: PresetName): Promise<void> {
  status.textContent = 'Starting';
  const side = await startWorkerSide();
  const measured = await measureGpu(
    side,
    {
      config: JSON.parse(huggingFaceConfig(PRESETS[preset])),
      minutes: MINUTES,
      ...(preset === 'nano' ? SMALL_RUN : FULL_RUN),
    },
    (text) => {
      status.textContent = text;
    },
  );
  const report: GpuReport = {
    date: new Date().toISOString(),
    commit: OSSICLE_COMMIT,
    command: location.pathname,
    runtime: navigator.userAgent,
    system: navigator.platform,
    isSoftware: isSoftware(side.adapter),
    config: preset,
    ...measured,
  };
  const { records, layers, configLayers, skipped } = measured;
  const title = `${adapterName(side.adapter)}, ${preset}`;
  element('plot', HTMLElement).innerHTML = rooflineSvg(title, records);
  const others = records.filter(({ unit }) => !['us', 'GB/s', 'GFLOP/s'].includes(unit));
  element('tables', HTMLElement).textContent = [
    ...(layers < configLayers ? [`Measured with ${layers} of ${configLayers} layers.`] : []),
    ...skipped.map((line) => `Skipped: ${line}`),
    formatTable(['measurement', 'median', 'unit', 'range'], recordRows(others)),
    kernelTable(records),
  ].join('\n\n');
  status.textContent = `${title}: done. Please copy the result and send it in an issue.`;
  copy.disabled = false;
  copy.onclick = async () => {
    await navigator.clipboard.writeText(JSON.stringify(report, null, 1));
    status.textContent = 'Copied.';
  };
}

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`The page has no ${id}`);
  return found;
}
