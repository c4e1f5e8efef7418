import type { SupportReport } from 'ossicle';
import { element, find, icon } from '../element.ts';
import { formatBytes, formatTokensPerSecond } from '../format.ts';
import { adapterName } from '../status-line.ts';
import type { CheckpointSource } from './checkpoint-source.ts';

type Fact = readonly [name: string, value: string, note?: string];

/**
 * Shows what a load needs from this machine before it begins. If the model will not run, reasons replace the button.
 *
 * @returns whether the user agrees.
 */
export function showPreflight(
  checkpoint: CheckpointSource,
  report: SupportReport,
): Promise<boolean> {
  const dialog = find('preflight', HTMLDialogElement);
  const { isSupported } = report;
  dialog.replaceChildren(
    element(
      'form',
      { method: 'dialog' },
      element(
        'h2',
        { id: 'preflight-title' },
        isSupported ? `${checkpoint.name} can run here` : `${checkpoint.name} will not run here`,
      ),
      element(
        'p',
        { class: 'preflight-lede' },
        isSupported ? 'All checks passed.' : 'Nothing has been downloaded.',
      ),
      ...(isSupported ? [] : [reasonList(report.reasons)]),
      factList(factsOf(checkpoint, report)),
      element('div', { class: 'preflight-actions' }, ...actions(checkpoint, report)),
    ),
  );
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

function actions({ files }: CheckpointSource, { isSupported, model }: SupportReport) {
  const cancel = { class: 'button', value: 'cancel', autofocus: true };
  if (!isSupported) return [element('button', cancel, 'Close')];
  const missing = model?.missingBytes ?? 0;
  const isPartial = model !== undefined && missing < model.totalBytes;
  const download = `Download ${formatBytes(missing)}${isPartial ? ' more' : ''}`;
  const label = files || missing === 0 ? 'Load' : download;
  return [
    element('button', { class: 'button primary big', value: 'yes' }, icon('download'), label),
    element('button', cancel, 'Not now'),
  ];
}

function reasonList(reasons: readonly string[]): HTMLElement {
  return element(
    'ul',
    { class: 'reasons', 'aria-label': 'Reasons' },
    ...reasons.map((reason) => element('li', {}, icon('warning'), element('span', {}, reason))),
  );
}

function factsOf(checkpoint: CheckpointSource, report: SupportReport): readonly Fact[] {
  const { adapter, model, speed, storage, isSupported } = report;
  const facts: Fact[] = [
    adapter
      ? ['GPU', adapterName(adapter), `Largest buffer: ${formatBytes(adapter.maxBufferBytes)}`]
      : ['GPU', 'None available to WebGPU'],
  ];
  if (model) {
    const { gpuBytes, totalBytes, missingBytes } = model;
    facts.push(
      isSupported
        ? [
            'GPU memory needed',
            formatBytes(gpuBytes),
            'Allocated briefly as a test, then released.',
          ]
        : ['GPU memory needed', formatBytes(gpuBytes)],
    );
    const stored = totalBytes - missingBytes;
    if (missingBytes > 0 && isSupported)
      facts.push([
        'Download',
        formatBytes(missingBytes),
        stored > 0
          ? `From ${checkpoint.host}. ${formatBytes(stored)} of ${formatBytes(totalBytes)} is already here.`
          : `From ${checkpoint.host}, once. You can pause it, and it resumes after interruptions.`,
      ]);
    facts.push(['Storage needed', formatBytes(missingBytes), roomNote(missingBytes, storage)]);
  }
  if (speed)
    facts.push([
      'Speed',
      `At most ${formatTokensPerSecond(speed.maxTokensPerSecond)}`,
      speedNote(speed),
    ]);
  return facts;
}

function speedNote({ bytesPerToken, bytesPerSecond }: NonNullable<SupportReport['speed']>): string {
  return (
    `Each token reads ${formatBytes(bytesPerToken)} of weights, and this GPU just copied ${formatBytes(bytesPerSecond)} ` +
    'per second within its memory, reads and writes counted. Arithmetic, a longer context and other programs make it slower.'
  );
}

/** What the browser reports about free space; often it allows more. */
function roomNote(missingBytes: number, storage: SupportReport['storage']): string {
  if (missingBytes === 0) return 'Nothing to store: the files stay where they are.';
  if (!storage) return 'The browser does not report how much it allows.';
  const free = Math.max(0, storage.quotaBytes - storage.usedBytes);
  const offer = `The browser reports ${formatBytes(free)} available`;
  return free < missingBytes
    ? `${offer}, but often allows more: ossicle requests the space before the download begins.`
    : `${offer}.`;
}

function factList(facts: readonly Fact[]): HTMLElement {
  return element(
    'dl',
    { class: 'report' },
    ...facts.map(([name, value, note]) =>
      element(
        'div',
        {},
        element('dt', {}, name),
        element('dd', {}, value),
        ...(note === undefined ? [] : [element('dd', { class: 'note' }, note)]),
      ),
    ),
  );
}
