import { element, find, iconButton } from '../element.ts';
import { formatBytes, formatCount } from '../format.ts';
import { texts } from '../language/texts.ts';
import type { RequestLog, RequestRecord } from './request-log.ts';

/** The panel that lists every request, those after the model was ready first: there should be none. */
export class RequestPanel {
  readonly #dialog = find('requests', HTMLDialogElement);
  readonly #log: RequestLog;
  readonly #late = element('div', { class: 'late-requests', role: 'status' });
  readonly #early = element('div');

  constructor(log: RequestLog) {
    this.#log = log;
    this.#dialog.append(
      element(
        'div',
        { class: 'panel-head' },
        element('h2', { id: 'requests-title' }, texts.requests.title),
        iconButton('close', texts.close, () => this.#dialog.close()),
      ),
      element('p', { class: 'hint' }, texts.requests.lede),
      element('h3', {}, texts.requests.late),
      this.#late,
      element('h3', {}, texts.requests.early),
      this.#early,
    );
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    log.subscribe(() => this.#dialog.open && this.#show());
  }

  /** Opens the panel. */
  open(): void {
    this.#show();
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  #show(): void {
    const { records, seesWorkers } = this.#log;
    const late = records.filter(({ isLate }) => isLate);
    const early = records.filter(({ isLate }) => !isLate);
    this.#late.dataset.count = String(late.length);
    this.#late.replaceChildren(
      late.length === 0 ? element('p', { class: 'none' }, texts.requests.none) : groupTable(late),
      ...(seesWorkers ? [] : [element('p', { class: 'hint' }, texts.requests.blind)]),
    );
    this.#early.replaceChildren(groupTable(early));
  }
}

/** A cell that can tell its column: a narrow page stacks them. */
const cell = (column: string, text: string): HTMLElement =>
  element('td', { 'data-column': column }, text);

/** Requests to one host for one reason, in one row. */
function groupTable(records: readonly RequestRecord[]): HTMLElement {
  const groups = Map.groupBy(records, ({ url, who, reason }) =>
    JSON.stringify([new URL(url).host, who, reason]),
  );
  const { host, who, reason, requests, bytes } = texts.requests;
  const rows = [...groups.values()].map((group) => {
    const [first] = group;
    if (first === undefined) return element('tr');
    const sizes = group.flatMap((request) => request.bytes ?? []);
    const sum = sizes.reduce((total, size) => total + size, 0);
    const isPartial = sizes.length < group.length;
    const size = isPartial ? texts.requests.atLeast(formatBytes(sum)) : formatBytes(sum);
    return element(
      'tr',
      {},
      element('th', { scope: 'row' }, new URL(first.url).host),
      cell(who, texts.requests.whos[first.who]),
      cell(reason, texts.requests.reasons[first.reason]),
      cell(requests, formatCount(group.length)),
      cell(bytes, sizes.length === 0 ? texts.requests.untold : size),
    );
  });
  return element(
    'div',
    { class: 'table-frame', tabindex: 0, role: 'group', 'aria-label': texts.requests.title },
    element(
      'table',
      {},
      element(
        'thead',
        {},
        element(
          'tr',
          {},
          ...[host, who, reason, requests, bytes].map((name) =>
            element('th', { scope: 'col' }, name),
          ),
        ),
      ),
      element('tbody', {}, ...rows),
    ),
  );
}
