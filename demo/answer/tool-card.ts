import { REFUSED } from '../chats/answer.ts';
import type { ToolPart } from '../chats/chat-record.ts';
import { element, icon } from '../element.ts';
import { texts } from '../language/texts.ts';

/** What scrolls can be focused, so that the keyboard scrolls it. */
const scrolls = { class: 'scrolls', tabindex: 0, role: 'group' };

/** A tool call: its name, arguments, state and result, and the question whether it may run. */
export class ToolCard {
  readonly element: HTMLElement = element('div', { class: 'tool-card', role: 'group' });
  readonly #decide: (id: string, isAllowed: boolean) => void;
  #shown: ToolPart | undefined;

  /** @param decide called with the user's decision about a call that needs approval. */
  constructor(decide: (id: string, isAllowed: boolean) => void) {
    this.#decide = decide;
  }

  /** Shows the call as it is now. */
  show(part: ToolPart): void {
    if (part === this.#shown) return;
    this.#shown = part;
    const { name, input, state, output } = part;
    const rows: readonly (readonly [name: string, value: string] | undefined)[] = [
      [texts.tool.arguments, input],
      output === undefined
        ? undefined
        : [state === 'failed' ? texts.tool.error : texts.tool.result, readable(output)],
    ];
    this.element.dataset.state = state;
    this.element.setAttribute('aria-label', `${texts.tool.tool} ${name}`);
    this.element.replaceChildren(
      element(
        'dl',
        { class: state === 'running' ? 'tool-call is-running' : 'tool-call' },
        element('dt', {}, icon('tool'), texts.tool.tool),
        element('dd', {}, element('code', {}, name)),
        ...rows.flatMap((row) =>
          row
            ? [
                element('dt', {}, row[0]),
                element('dd', {}, element('code', { ...scrolls, 'aria-label': row[0] }, row[1])),
              ]
            : [],
        ),
      ),
      ...(state === 'asking' ? [this.#question(part)] : []),
    );
  }

  #question({ id, name }: ToolPart): HTMLElement {
    const button = (isAllowed: boolean, label: string, kind: string): HTMLElement =>
      element(
        'button',
        { type: 'button', class: kind, onclick: () => this.#decide(id, isAllowed) },
        label,
      );
    return element(
      'div',
      { class: 'tool-question', role: 'group', 'aria-label': texts.tool.ask(name) },
      element('strong', {}, texts.tool.ask(name)),
      element('span', { class: 'spacer' }),
      element(
        'div',
        { class: 'button-row' },
        button(false, texts.tool.refuse, 'button small'),
        button(true, texts.tool.allow, 'button primary small'),
      ),
    );
  }
}

/** A result that is a text without its quotes and escapes, a refusal as the user reads it; any other as it is. */
function readable(output: string): string {
  if (output === REFUSED) return texts.tool.refused;
  try {
    const value: unknown = JSON.parse(output);
    return typeof value === 'string' ? value : output;
  } catch {
    return output;
  }
}
