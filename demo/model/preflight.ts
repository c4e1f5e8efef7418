import type { SupportReport } from 'ossicle';
import { element, find, icon } from '../element.ts';
import { formatBytes, formatTokensPerSecond } from '../format.ts';
import { texts } from '../language/texts.ts';
import { adapterName } from '../status-line.ts';
import type { CheckpointSource } from './checkpoint-source.ts';
import { hostName } from './host-name.ts';

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
        isSupported
          ? texts.preflight.can(checkpoint.name)
          : texts.preflight.cannot(checkpoint.name),
      ),
      element(
        'p',
        { class: 'preflight-lede' },
        isSupported ? texts.preflight.passed : texts.preflight.nothing,
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
  if (!isSupported) return [element('button', cancel, texts.close)];
  const missing = model?.missingBytes ?? 0;
  const isPartial = model !== undefined && missing < model.totalBytes;
  const { download: whole, downloadMore: rest } = texts.preflight;
  const download = (isPartial ? rest : whole)(formatBytes(missing));
  const label = files || missing === 0 ? texts.preflight.load : download;
  return [
    element('button', { class: 'button primary big', value: 'yes' }, icon('download'), label),
    element('button', cancel, texts.preflight.notNow),
  ];
}

function reasonList(reasons: readonly string[]): HTMLElement {
  return element(
    'ul',
    { class: 'reasons', 'aria-label': texts.preflight.reasons },
    ...reasons.map((reason) => element('li', {}, icon('warning'), element('span', {}, reason))),
  );
}

function factsOf(checkpoint: CheckpointSource, report: SupportReport): readonly Fact[] {
  const { adapter, model, speed, storage, isSupported } = report;
  const facts: Fact[] = [
    adapter
      ? [
          texts.model.gpu,
          adapterName(adapter),
          texts.preflight.largestBuffer(formatBytes(adapter.maxBufferBytes)),
        ]
      : [texts.model.gpu, texts.preflight.noGpu],
  ];
  if (model) {
    const { gpuBytes, totalBytes, missingBytes } = model;
    facts.push(
      isSupported
        ? [texts.preflight.memory, formatBytes(gpuBytes), texts.preflight.memoryNote]
        : [texts.preflight.memory, formatBytes(gpuBytes)],
    );
    const stored = totalBytes - missingBytes;
    if (missingBytes > 0 && isSupported)
      facts.push([
        texts.preflight.downloadFact,
        formatBytes(missingBytes),
        stored > 0
          ? texts.preflight.fromPartly(
              hostName(checkpoint),
              formatBytes(stored),
              formatBytes(totalBytes),
            )
          : texts.preflight.from(hostName(checkpoint)),
      ]);
    facts.push([
      texts.preflight.storage,
      formatBytes(missingBytes),
      roomNote(missingBytes, storage),
    ]);
  }
  if (speed)
    facts.push([
      texts.preflight.speed,
      texts.preflight.atMost(formatTokensPerSecond(speed.maxTokensPerSecond)),
      speedNote(speed),
    ]);
  return facts;
}

function speedNote({ bytesPerToken, bytesPerSecond }: NonNullable<SupportReport['speed']>): string {
  return texts.preflight.speedNote(formatBytes(bytesPerToken), formatBytes(bytesPerSecond));
}

/** What the browser reports about free space; often it allows more. */
function roomNote(missingBytes: number, storage: SupportReport['storage']): string {
  if (missingBytes === 0) return texts.preflight.nothingToStore;
  if (!storage) return texts.preflight.quotaUnknown;
  const free = Math.max(0, storage.quotaBytes - storage.usedBytes);
  const { available, availableLess } = texts.preflight;
  return (free < missingBytes ? availableLess : available)(formatBytes(free));
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
