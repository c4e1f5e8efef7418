import type { SupportReport } from 'ossicle';
import type { CheckpointSource } from './checkpoint-source.ts';
import { element, find, icon } from './element.ts';
import { formatBytes, formatTokensPerSecond } from './format.ts';
import { adapterName } from './status-line.ts';

type Fact = readonly [name: string, value: string, note?: string];

/**
 * Shows what a load comes to on this machine, before it begins. Where it will not run, the reasons take the place of the
 * button.
 *
 * @returns whether the person wants it.
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
        isSupported
          ? 'Nothing speaks against it, as far as can be told beforehand.'
          : 'Nothing has been downloaded.',
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
  const verb = isPartial ? 'Download the remaining' : 'Download';
  const label = files || missing === 0 ? 'Load' : `${verb} ${formatBytes(missing)}`;
  return [
    element('button', { class: 'button primary big', value: 'yes' }, icon('download'), label),
    element('button', cancel, 'Not now'),
  ];
}

function reasonList(reasons: readonly string[]): HTMLElement {
  return element(
    'ul',
    { class: 'reasons', 'aria-label': 'Why not' },
    ...reasons.map((reason) => element('li', {}, icon('warning'), element('span', {}, reason))),
  );
}

function factsOf(checkpoint: CheckpointSource, report: SupportReport): readonly Fact[] {
  const { adapter, model, speed, storage, isSupported } = report;
  const facts: Fact[] = [
    adapter
      ? ['GPU', adapterName(adapter), `Largest buffer ${formatBytes(adapter.maxBufferBytes)}`]
      : ['GPU', 'None that WebGPU can use'],
  ];
  if (model) {
    const { gpuBytes, totalBytes, missingBytes } = model;
    facts.push(
      isSupported
        ? [
            'GPU memory needed',
            formatBytes(gpuBytes),
            'Taken for a moment as a trial, and given back.',
          ]
        : ['GPU memory needed', formatBytes(gpuBytes)],
    );
    const kept = totalBytes - missingBytes;
    if (missingBytes > 0 && isSupported)
      facts.push([
        'Download',
        formatBytes(missingBytes),
        kept > 0
          ? `From ${checkpoint.host}. ${formatBytes(kept)} of ${formatBytes(totalBytes)} are kept already.`
          : `From ${checkpoint.host}, once. It can be paused, and goes on after an interruption.`,
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

/** What the browser says of room, for what it is worth. */
function roomNote(missingBytes: number, storage: SupportReport['storage']): string {
  if (missingBytes === 0) return 'It is not copied: it stays where it is.';
  if (!storage) return 'The browser does not say how much it offers.';
  const free = Math.max(0, storage.quotaBytes - storage.usedBytes);
  const offer = `The browser says that it offers ${formatBytes(free)}`;
  return free < missingBytes
    ? `${offer}. Browsers often allow more than they say: the room is asked for before the download begins.`
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
