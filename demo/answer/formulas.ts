import type { MarkedExtension, TokenizerAndRendererExtension, Tokens } from 'marked';

/** A longer formula is shown as it was written. */
const MAX_TEX_LENGTH = 5000;

type Temml = typeof import('temml').default;
let temml: Temml | undefined;
let loading: Promise<void> | undefined;

interface Formula extends Tokens.Generic {
  readonly text: string;
  readonly isDisplay: boolean;
  /** Whether its end has arrived. */
  readonly isWhole: boolean;
}

/** Escaped text for HTML. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** Source of a formula, to be typeset by {@link typeset} once it is whole. */
function renderer(token: Tokens.Generic): string {
  const { raw, text, isDisplay, isWhole } = token as Formula;
  const kind = isDisplay ? 'math is-display' : 'math';
  return isWhole
    ? `<span class="${kind}">${escapeHtml(text.trim())}</span>`
    : `<span class="math is-open">${escapeHtml(raw)}</span>`;
}

/** A paragraph is searched this far for a formula that ends it: a longer one would be searched again and again. */
const MAX_START = 8192;

/** Where a line begins with a formula, after the first one; -1 if none does. */
export function formulaLine(text: string): number {
  const found = text.slice(0, MAX_START).search(/\n {0,3}(?:\\\[|\$\$)/);
  return found < 0 ? -1 : found + 1;
}

/** `\[ \]` and `$$ $$` at the start of a line. An open one ends at a blank line: it may be no formula. */
const block: TokenizerAndRendererExtension = {
  name: 'formula',
  level: 'block',
  start: (text) => {
    const found = formulaLine(text);
    return found < 0 ? undefined : found;
  },
  tokenizer(text) {
    const whole =
      /^ {0,3}(?:\\\[([\s\S]{0,5000}?)\\\]|\$\$((?:(?!\$\$)[\s\S]){1,5000})\$\$)[ \t]*(?:\n+|$)/.exec(
        text,
      );
    if (whole) return formula(whole[0], whole[1] ?? whole[2] ?? '', true, true);
    const open = /^ {0,3}(?:\\\[|\$\$(?!\d))(?:(?!\n\n|\\\]|\$\$)[\s\S])*$/.exec(text);
    return open ? formula(open[0], '', true, false) : undefined;
  },
  renderer: (token) => `<p>${renderer(token)}</p>`,
};

/** `\( \)`, `\[ \]` and `$$ $$` in a line. Prices such as `$$5 and $$6` are none. */
const inline: TokenizerAndRendererExtension = {
  name: 'inlineFormula',
  level: 'inline',
  start: (text) => {
    const found = text.search(/\\[([]|\$\$/);
    return found < 0 ? undefined : found;
  },
  tokenizer(text) {
    const whole = /^(?:\\\(([\s\S]*?)\\\)|\\\[([\s\S]*?)\\\]|\$\$([^$]+?)\$\$(?!\d))/.exec(text);
    if (whole) {
      const [raw, short, ...long] = whole;
      return formula(raw, short ?? long.find(Boolean) ?? '', short === undefined, true);
    }
    const open = /^(?:\\[([]|\$\$(?!\d))[^\n$]*$/.exec(text);
    return open ? formula(open[0], '', false, false) : undefined;
  },
  renderer,
};

const formula = (raw: string, text: string, isDisplay: boolean, isWhole: boolean): Formula => ({
  type: isDisplay ? 'formula' : 'inlineFormula',
  ...{ raw, text, isDisplay, isWhole },
});

/** Formulas as gpt-oss writes them: `\( \)` in a line, `\[ \]` and `$$ $$` on their own. */
export const formulas: MarkedExtension = { extensions: [block, inline] };

/** Typesets a formula; the first one loads the typesetter. What cannot be typeset stays as it was written. */
export function typeset(source: HTMLElement): void {
  const tex = source.textContent ?? '';
  if (source.classList.contains('is-open') || tex.length > MAX_TEX_LENGTH) return;
  if (temml === undefined) {
    loading ??= load();
    void loading.then(() => temml && typeset(source));
    return;
  }
  const displayMode = source.classList.contains('is-display');
  const made = document.createElement('span');
  try {
    temml.render(tex, made, { displayMode, throwOnError: true, maxExpand: 200, wrap: 'tex' });
  } catch {
    source.classList.add('is-open');
    return;
  }
  // A model's \label must not take an id of the page.
  for (const node of made.querySelectorAll('[id], [href]')) {
    node.removeAttribute('id');
    node.removeAttribute('href');
  }
  source.replaceChildren(...made.childNodes);
}

async function load(): Promise<void> {
  try {
    const [{ default: loaded }] = await Promise.all([
      import('temml'),
      import('temml/dist/Temml-Local.css'),
    ]);
    temml = loaded;
  } catch (error) {
    loading = undefined; // the next formula tries again
    reportError(error);
  }
}
