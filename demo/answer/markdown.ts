import createDOMPurify from 'dompurify';
import { Marked, type Token, type Tokens, type TokensList } from 'marked';
import { element } from '../element.ts';
import { texts } from '../language/texts.ts';
import { BoundedLexer } from './bounded-lexer.ts';
import { type CitedPage, citations, linkCitation } from './citations.ts';
import { copyButton } from './copy-button.ts';
import { escapeHtml, formulas, typeset } from './formulas.ts';
import { highlight } from './highlighting.ts';

const purify = createDOMPurify(window);
const marked = new Marked({ gfm: true, breaks: true });

marked.use(formulas, citations, {
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
    ...['span', 'blockquote', 'ul', 'ol', 'li', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td'],
  ],
  ALLOWED_ATTR: ['href', 'title', 'class', 'start', 'align'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ADD_URI_SAFE_ATTR: ['start', 'align'],
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true as const,
};

interface Block {
  readonly source: string;
  readonly nodes: readonly Node[];
  /** The code in it, if it is code whose end has not arrived. */
  readonly openCode?: HTMLElement | undefined;
}

/** So many blocks at the end are lexed anew when text arrives: it may change the last, or join it with the one before. */
const TAIL_BLOCKS = 2;

/**
 * Renders growing Markdown. Blocks that have not changed since the last call keep their elements, so selections survive;
 * only the last blocks are lexed again, so a token costs no more in a long answer than in a short one.
 */
export class MarkdownView {
  /** Holds the rendered blocks. */
  readonly element: HTMLElement = element('div', { class: 'markdown', dir: 'auto' });
  #blocks: Block[] = [];
  /** How many blocks are settled, and the length of their source. */
  #settled = { blocks: 0, length: 0 };
  /** The source of the settled blocks, which further text must begin with. */
  #settledSource = '';
  /** URLs that the settled blocks define for `[references]`. */
  readonly #settledLinks: TokensList['links'] = {};
  /** All URLs that the text defines, possibly after the blocks that use them. */
  #definitions = '{}';
  readonly #pages: () => ReadonlyMap<string, CitedPage>;

  /** @param pages what the text may cite. */
  constructor(pages: () => ReadonlyMap<string, CitedPage> = () => new Map()) {
    this.#pages = pages;
  }

  /** Shows the Markdown text, or the text as it is if it cannot be rendered. */
  render(markdown: string): void {
    try {
      if (!markdown.startsWith(this.#settledSource)) this.#unsettle();
      this.#render(markdown);
    } catch (error) {
      reportError(error);
      const plain = element('p', { class: 'plain' }, markdown);
      this.#blocks = [{ source: '', nodes: [plain] }];
      this.#unsettle();
      this.element.replaceChildren(plain);
    }
  }

  #render(markdown: string): void {
    const { blocks: settled, length } = this.#settled;
    const lexer = new BoundedLexer(marked.defaults);
    Object.assign(lexer.tokens.links, this.#settledLinks);
    const tokens = lexer.lex(markdown.slice(length));
    const definitions = JSON.stringify(tokens.links);
    const isRedefined = definitions !== this.#definitions;
    if (isRedefined && settled > 0) {
      this.#unsettle(); // earlier blocks may refer to the new definition
      this.#render(markdown);
      return;
    }
    this.#definitions = definitions;
    let kept = settled;
    while (
      !isRedefined &&
      kept < this.#blocks.length &&
      kept - settled < tokens.length &&
      this.#blocks[kept]?.source === tokens[kept - settled]?.raw
    )
      kept++;
    const [block, ...more] = this.#blocks.slice(kept);
    const [token, ...others] = tokens.slice(kept - settled);
    const grown = block && token && more.length + others.length === 0 && growCode(block, token);
    if (grown) this.#blocks[kept] = grown;
    else this.#replace(kept, tokens.slice(kept - settled));
    this.#settle(markdown, tokens);
  }

  /** Makes the blocks from `kept` on those of the tokens. */
  #replace(kept: number, tokens: readonly Token[]): void {
    for (const { nodes } of this.#blocks.splice(kept))
      for (const node of nodes) this.element.removeChild(node);
    for (const token of tokens) {
      const block = renderBlock(token, this.#pages);
      this.#blocks.push(block);
      this.element.append(...block.nodes);
    }
  }

  /** Settles all blocks but the last ones, if the lexer has left their source as it is. */
  #settle(markdown: string, tokens: readonly Token[]): void {
    const done = tokens.slice(0, -TAIL_BLOCKS);
    const source = done.map(({ raw }) => raw).join('');
    const { blocks, length } = this.#settled;
    if (source === '' || !markdown.startsWith(source, length)) return;
    this.#settled = { blocks: blocks + done.length, length: length + source.length };
    this.#settledSource += source;
    for (const token of done)
      if (token.type === 'def')
        this.#settledLinks[token.tag] ??= { href: token.href, title: token.title };
  }

  #unsettle(): void {
    this.#settled = { blocks: 0, length: 0 };
    this.#settledSource = '';
    for (const tag of Object.keys(this.#settledLinks)) delete this.#settledLinks[tag];
  }
}

function renderBlock(token: Token, pages: () => ReadonlyMap<string, CitedPage>): Block {
  const fragment = purify.sanitize(marked.parser([token]), SANITISE);
  for (const link of fragment.querySelectorAll('a')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
  }
  for (const table of fragment.querySelectorAll('table')) {
    const frame = element('div', { class: 'table-frame', tabindex: 0, role: 'group' });
    frame.setAttribute('aria-label', texts.turn.table);
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const formula of fragment.querySelectorAll<HTMLElement>('.math')) typeset(formula);
  for (const found of fragment.querySelectorAll<HTMLElement>('.citation'))
    linkCitation(found, pages());
  const isOpen = token.type === 'code' && isOpenCode(token.raw);
  let openCode: HTMLElement | undefined;
  for (const code of fragment.querySelectorAll('pre')) openCode = frameCode(code, isOpen);
  return {
    source: token.raw,
    nodes: [...fragment.childNodes],
    openCode: isOpen ? openCode : undefined,
  };
}

/** Whether the fence that ends code is still to come. */
function isOpenCode(raw: string): boolean {
  const [, fence] = /^ {0,3}(`{3,}|~{3,})/.exec(raw) ?? [];
  if (fence === undefined) return false;
  const last = raw.trimEnd().split('\n').slice(1).at(-1)?.trim() ?? '';
  return !(last.startsWith(fence) && last.replaceAll(fence[0] ?? '', '') === '');
}

/** Shows what has arrived of code in the element it has; `undefined` if the block is something else. */
function growCode({ source, nodes, openCode }: Block, token: Token): Block | undefined {
  const { raw } = token;
  if (
    token.type !== 'code' ||
    openCode === undefined ||
    !raw.startsWith(source.trimEnd()) ||
    !isOpenCode(raw)
  )
    return undefined;
  openCode.textContent = `${token.text}\n`;
  return { source: raw, nodes, openCode };
}

/** Frames code with its language and a copy button; colors it once it is whole. Returns the element of the code. */
function frameCode(pre: HTMLPreElement, isOpen: boolean): HTMLElement {
  const code = pre.firstElementChild instanceof HTMLElement ? pre.firstElementChild : pre;
  const language = /language-([\w+#.-]+)/.exec(code.className)?.[1];
  pre.tabIndex = 0;
  pre.dir = 'ltr';
  const frame = element('figure', { class: 'code' });
  pre.replaceWith(frame);
  frame.append(
    element(
      'figcaption',
      {},
      element('span', {}, language ?? texts.turn.plainText),
      copyButton(texts.turn.copyCode, () => pre.textContent ?? ''),
    ),
    pre,
  );
  if (language !== undefined && !isOpen) void highlight(code, language.toLowerCase());
  return code;
}
