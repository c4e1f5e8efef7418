import { attributeOf, type HtmlToken, htmlTokens } from './html-tokens.ts';

/** A page as the model reads it. */
export interface PageText {
  readonly title: string;
  /** With links as `【id†text】`, or `【id†text†host】` if they lead to another host. */
  readonly text: string;
  /** The addresses of the links, by their ids. */
  readonly links: readonly string[];
}

const setOf = (names: string): ReadonlySet<string> => new Set(names.split(' '));

/** Elements that are not read. */
const SKIPPED = setOf('script style noscript template svg math iframe object select textarea xmp');

/** Elements with lines of their own. */
const BLOCKS = setOf(
  'address article aside dd details div dt figcaption figure footer form header li main nav section summary tr br',
);

/** Elements with an empty line before and after. */
const PARAGRAPHS = setOf('h1 h2 h3 h4 h5 h6 p ul ol dl table pre blockquote hr body');

/** The deepest list that is indented further than the one around it. */
const MAX_INDENT = 8;

/** Replaces the brackets that mark links and citations. */
export function withoutMarks(text: string): string {
  return text.replaceAll('【', '〖').replaceAll('】', '〗').replaceAll('\u200b', '');
}

/** A link as the model sees it. */
export function linkMark(id: number, text: string, url: string, pageUrl = ''): string {
  const host = hostOf(url);
  const place = host === '' || host === hostOf(pageUrl) ? '' : `†${host}`;
  return `【${id}†${withoutMarks(text).replaceAll('†', '‡')}${place}】`;
}

/**
 * Reads the text of a page.
 *
 * @param url - Its address, for relative links.
 */
export function readHtml(html: string, url: string): PageText {
  const writer = new Writer(url);
  for (const token of htmlTokens(html)) writer.add(token);
  return writer.finish();
}

class Writer {
  readonly #url: string;
  readonly #lines: string[] = [];
  #line = '';
  #title: string | undefined;
  /** How many lists, and preformatted elements, are open. */
  #lists = 0;
  #pres = 0;
  #images = 0;
  readonly #ids = new Map<string, number>();
  /** The element that is being skipped, and how many of its name are open. */
  #skipped = { name: '', count: 0 };
  /** The link that is open: where it leads, and the line before it. */
  #link: { readonly address: string; readonly before: string } | undefined;
  /** Where a superscript or subscript has begun on the line. */
  #power = 0;
  #isTitle = false;

  constructor(url: string) {
    this.#url = url;
  }

  finish(): PageText {
    this.#endLink();
    this.#paragraph();
    return {
      title: collapse(this.#title ?? '').trim(),
      text: this.#lines.join('\n').trimEnd(),
      links: [...this.#ids.keys()],
    };
  }

  add(token: HtmlToken): void {
    if (token.type === 'text') this.#text(token.text);
    else if (token.name === 'title') this.#isTitle = token.type === 'open';
    else if (this.#skipped.count > 0) this.#skip(token);
    else if (token.type === 'open') this.#open(token.name, token.attributes);
    else this.#close(token.name);
  }

  #text(text: string): void {
    if (this.#isTitle) this.#title ??= withoutMarks(text);
    else if (this.#skipped.count > 0) return;
    else if (this.#pres > 0 && !this.#link) this.#writeLines(withoutMarks(text));
    else this.#write(collapse(withoutMarks(text)));
  }

  #skip({ type, name }: HtmlToken & { readonly name: string }): void {
    if (name === this.#skipped.name) this.#skipped.count += type === 'open' ? 1 : -1;
  }

  #open(name: string, attributes: string): void {
    if (SKIPPED.has(name)) {
      this.#skipped = { name, count: attributes.endsWith('/') ? 0 : 1 };
      return;
    }
    this.#separate(name);
    if (name === 'ul' || name === 'ol') this.#lists++;
    if (name === 'pre') this.#pres++;
    if (name === 'a') this.#startLink(attributes);
    if (name === 'img') this.#image(attributes);
    if (/^h[1-6]$/.test(name)) this.#write(`${'#'.repeat(Number(name[1]))} `);
    if (name === 'li' && !this.#link)
      this.#line = `${'  '.repeat(Math.min(this.#lists || 1, MAX_INDENT))}* `;
    if (/^t[dh]$/.test(name) && this.#line !== '') this.#write(' | ');
    if (/^su[bp]$/.test(name)) this.#power = this.#line.length;
  }

  #close(name: string): void {
    if (/^su[bp]$/.test(name)) {
      const text = this.#line.slice(this.#power);
      const mark = name === 'sup' ? '^' : '_';
      if (/^[\w-]+$/.test(text)) {
        this.#line = `${this.#line.slice(0, this.#power)}${mark}{${text}}`;
      }
    }
    if (name === 'a') this.#endLink();
    if (name === 'ul' || name === 'ol') this.#lists = Math.max(0, this.#lists - 1);
    if (name === 'pre') this.#pres = Math.max(0, this.#pres - 1);
    this.#separate(name);
  }

  /** Ends the line before and after elements that stand alone; a link stays on one. */
  #separate(name: string): void {
    const isInnerList = /^[uo]l$/.test(name) && this.#lists > 0;
    const isParagraph = PARAGRAPHS.has(name) && !isInnerList;
    if (!isParagraph && !isInnerList && !BLOCKS.has(name)) return;
    if (this.#link) this.#write(' ');
    else if (isParagraph) this.#paragraph();
    else this.#break();
  }

  #startLink(attributes: string): void {
    this.#endLink();
    const address = attributeOf(attributes, 'href') ?? '#';
    if (address.startsWith('#') || !URL.canParse(address, this.#url)) return;
    const { href, protocol } = new URL(address, this.#url);
    if (/^(javascript|mailto|tel|data|blob):$/.test(protocol)) return;
    this.#link = { address: href, before: this.#line };
    this.#line = '';
  }

  #endLink(): void {
    if (!this.#link) return;
    const { address, before } = this.#link;
    const text = this.#line.trim();
    this.#link = undefined;
    this.#line = before;
    if (text === '') return;
    const id = this.#ids.get(address) ?? this.#ids.size;
    this.#ids.set(address, id);
    this.#write(linkMark(id, text, address, this.#url));
  }

  #image(attributes: string): void {
    const name = attributeOf(attributes, 'alt') ?? attributeOf(attributes, 'title') ?? '';
    if (name.trim() === '') return;
    this.#write(`[Image ${this.#images++}: ${collapse(withoutMarks(name)).trim()}]`);
  }

  /** Adds text to the line; spaces at its beginning, and after others, are left out. */
  #write(text: string): void {
    const isOpen = this.#line !== '' && !this.#line.endsWith(' ');
    this.#line += isOpen ? text : text.trimStart();
  }

  /** Adds text with line breaks. */
  #writeLines(text: string): void {
    const [first = '', ...rest] = text.split('\n');
    this.#line += first;
    for (const line of rest) {
      this.#lines.push(this.#line);
      this.#line = line;
    }
  }

  #break(): void {
    if (!/^[\s*]*$/.test(this.#line)) this.#lines.push(this.#line.trimEnd());
    this.#line = '';
  }

  #paragraph(): void {
    this.#break();
    if (this.#lines.length > 0 && this.#lines.at(-1) !== '') this.#lines.push('');
  }
}

function collapse(text: string): string {
  return text.replace(/\s+/g, ' ');
}

/** The host of an address; empty if it has none. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : '';
}
