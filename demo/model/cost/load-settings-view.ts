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
} from './load-settings.ts';

/**
 * The choices of how the model in use is loaded, each with what it costs.
 *
 * @param apply called with the choices to load the model with, once the user asks for that: a select changes at each
 *   arrow key.
 */
export function loadSettingsView(
  { model, checkpoint }: LoadedModel,
  apply: (settings: LoadSettings) => void,
): HTMLElement {
  const { info } = model;
  const { contextLength, dense, config } = info;
  const memoryOf = (choice: LoadSettings): string =>
    formatBytes(gpuBytesWith(info, { contextLength, dense, ...choice }));
  const lengths = CONTEXT_LENGTHS.filter((length) => length <= config.maxContextLength);
  const known = lengths.includes(contextLength) ? lengths : [contextLength, ...lengths];
  const t = texts.model;
  const slower = (format: DenseFormat): number =>
    1 - weightBytesPerToken(info, 'int8') / weightBytesPerToken(info, format);
  const length = select(
    { id: 'context-length', chosen: String(contextLength) },
    known.map((count) => [
      String(count),
      t.contextOption(formatCount(count), memoryOf({ contextLength: count })),
    ]),
  );
  const weights = select({ id: 'dense', chosen: dense }, [
    ['int8', t.weights8(memoryOf({ dense: 'int8' }))],
    ['bf16', t.weights16(memoryOf({ dense: 'bf16' }), formatPercent(slower('bf16')))],
  ]);
  const chosen = (): LoadSettings => ({
    ...(Number(length.value) !== contextLength && { contextLength: Number(length.value) }),
    ...(weights.value !== dense && { dense: weights.value as DenseFormat }),
  });
  const button = element(
    'button',
    {
      ...{ type: 'button', class: 'button small', id: 'apply-load-settings', disabled: true },
      onclick: () => apply({ ...readLoadSettings(checkpoint.source), ...chosen() }),
    },
    t.applySettings,
  );
  const view = element(
    'div',
    { class: 'load-settings' },
    element('label', { class: 'field' }, element('span', {}, t.contextChoice), length),
    element('label', { class: 'field' }, element('span', {}, t.weightsChoice), weights),
    element('small', { class: 'hint' }, t.settingsHint),
    element('div', { class: 'button-row' }, button),
  );
  view.addEventListener('change', () => {
    button.disabled = Object.keys(chosen()).length === 0;
  });
  return view;
}

function select(
  { id, chosen }: { readonly id: string; readonly chosen: string },
  options: readonly (readonly [value: string, label: string])[],
): HTMLSelectElement {
  return element(
    'select',
    { id },
    ...options.map(([value, text]) =>
      element('option', { value, selected: value === chosen }, text),
    ),
  );
}
