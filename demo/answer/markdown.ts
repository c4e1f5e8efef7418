import createDOMPurify from 'dompurify';
import { Marked, type Token, type Tokens } from 'marked';
import { element } from '../element.ts';
import { BoundedLexer } from './bounded-lexer.ts';
import { copyButton } from './copy-button.ts';

const purify = createDOMPurify(window);
const marked = new Marked({ gfm: true, breaks: true });

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

marked.use({
  renderer: {
    // A model's HTML is shown as text and its images as links: the page fetches nothing that a model names.
    html: (token: Tokens.HTML | Tokens.Tag) => escapeHtml(token.text),
    image: ({ href, text }: Tokens.Image) =>
      `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`,
    checkbox: ({ checked }: Tokens.Checkbox) => (checked ? '☑ ' : '☐ '),
  },
});

const SANITISE = {
  ALLOWED_TAGS: [
    ...['p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'strong', 'em', 'del', 'code', 'pre'],
    ...['blockquote', 'ul', 'ol', 'li', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td'],
  ],
  ALLOWED_ATTR: ['href', 'title', 'class', 'start', 'align'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ADD_URI_SAFE_ATTR: ['start', 'align'],
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true as const,
};

/**
 * Renders growing Markdown. Blocks that have not changed since the last call keep their elements, so selections survive
 * and a token costs no more in a long answer than in a short one.
 */
export class MarkdownView {
  /** Holds the rendered blocks. */
  readonly element: HTMLElement = element('div', { class: 'markdown' });
  #blocks: { source: string; nodes: readonly Node[] }[] = [];
  /** URLs that the text defines for `[references]`, possibly after the blocks that use them. */
  #definitions = '{}';

  /** Shows the Markdown text, or the text as it is if it cannot be rendered. */
  render(markdown: string): void {
    try {
      this.#render(markdown);
    } catch (error) {
      reportError(error);
      const plain = element('p', { class: 'plain' }, markdown);
      this.#blocks = [{ source: '', nodes: [plain] }];
      this.element.replaceChildren(plain);
    }
  }

  #render(markdown: string): void {
    const tokens = new BoundedLexer(marked.defaults).lex(markdown);
    const definitions = JSON.stringify(tokens.links);
    const isRedefined = definitions !== this.#definitions;
    this.#definitions = definitions;
    let kept = 0;
    while (
      !isRedefined &&
      kept < this.#blocks.length &&
      kept < tokens.length &&
      this.#blocks[kept]?.source === tokens[kept]?.raw
    )
      kept++;
    for (const { nodes } of this.#blocks.splice(kept))
      for (const node of nodes) this.element.removeChild(node);
    for (const token of tokens.slice(kept)) {
      const nodes = renderBlock(token);
      this.#blocks.push({ source: token.raw, nodes });
      this.element.append(...nodes);
    }
  }
}

function renderBlock(token: Token): readonly Node[] {
  const fragment = purify.sanitize(marked.parser([token]), SANITISE);
  for (const link of fragment.querySelectorAll('a')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
  }
  for (const table of fragment.querySelectorAll('table')) {
    const frame = element('div', { class: 'table-frame', tabindex: 0, role: 'region' });
    frame.setAttribute('aria-label', 'Table');
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const code of fragment.querySelectorAll('pre')) frameCode(code);
  return [...fragment.childNodes];
}

function frameCode(code: HTMLPreElement): void {
  const language = /language-([\w+#.-]+)/.exec(code.firstElementChild?.className ?? '')?.[1];
  code.tabIndex = 0;
  const frame = element('figure', { class: 'code' });
  code.replaceWith(frame);
  frame.append(
    element(
      'figcaption',
      {},
      element('span', {}, language ?? 'text'),
      copyButton('Copy code', () => code.textContent ?? ''),
    ),
    code,
  );
}
