import type { DenseFormat } from 'ossicle';
import { element } from '../../element.ts';
import { formatBytes, formatCount, formatPercent } from '../../format.ts';
import { texts } from '../../language/texts.ts';
import type { LoadedModel } from '../model-slot.ts';
import {
  CONTEXT_LENGTHS,
  gpuBytesWith,
  type LoadSettings,
  readLoadSettings,
  weightBytesPerToken,
  writeLoadSettings,
} from './load-settings.ts';

/** The choices of how the model in use is loaded, each with what it costs. */
export function loadSettingsView(
  { model, checkpoint }: LoadedModel,
  reload: () => void,
): HTMLElement {
  const { info } = model;
  const { contextLength, dense, config } = info;
  const choose = (choice: LoadSettings): void => {
    const { source } = checkpoint;
    writeLoadSettings(source, { ...readLoadSettings(source), ...choice });
    reload();
  };
  const memoryOf = (choice: LoadSettings): string =>
    formatBytes(gpuBytesWith(info, { contextLength, dense, ...choice }));
  const lengths = CONTEXT_LENGTHS.filter((length) => length <= config.maxContextLength);
  const known = lengths.includes(contextLength) ? lengths : [contextLength, ...lengths];
  const t = texts.model;
  const slower = (format: DenseFormat): number =>
    1 - weightBytesPerToken(info, 'int8') / weightBytesPerToken(info, format);
  return element(
    'div',
    { class: 'load-settings' },
    select(
      { id: 'context-length', label: t.contextChoice, chosen: String(contextLength) },
      known.map((length) => [
        String(length),
        t.contextOption(formatCount(length), memoryOf({ contextLength: length })),
      ]),
      (value) => choose({ contextLength: Number(value) }),
    ),
    select(
      { id: 'dense', label: t.weightsChoice, chosen: dense },
      [
        ['int8', t.weights8(memoryOf({ dense: 'int8' }))],
        ['bf16', t.weights16(memoryOf({ dense: 'bf16' }), formatPercent(slower('bf16')))],
      ],
      (value) => choose({ dense: value as DenseFormat }),
    ),
    element('small', { class: 'hint' }, t.settingsHint),
  );
}

function select(
  { id, label, chosen }: { readonly id: string; readonly label: string; readonly chosen: string },
  options: readonly (readonly [value: string, label: string])[],
  onChoice: (value: string) => void,
): HTMLElement {
  const field = element(
    'select',
    { id },
    ...options.map(([value, text]) =>
      element('option', { value, selected: value === chosen }, text),
    ),
  );
  field.addEventListener('change', () => onChoice(field.value));
  return element('label', { class: 'field' }, element('span', {}, label), field);
}
