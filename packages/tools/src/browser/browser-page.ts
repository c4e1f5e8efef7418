import type { BrowserDocument, SearchResult } from './browser-backend.ts';
import { linkMark, readHtml, withoutMarks } from './read-html.ts';
import { wrapLines } from './wrap-lines.ts';

/** The most passages that `find` shows, and the lines of each. */
const MAX_MATCHES = 50;
const MATCH_LINES = 4;

/** A page that the model has before it. */
export interface BrowserPage {
  readonly url: string;
  readonly title: string;
  /** At most 80 characters each. */
  readonly lines: readonly string[];
  /** By their ids. */
  readonly links: readonly PageLink[];
  /** The page whose passages this one has, if it is what `find` has found. */
  readonly foundIn?: BrowserPage;
}

/** A link of a page. */
export interface PageLink {
  readonly url: string;
  /** The line of the linked page that it is about. */
  readonly line?: number;
}

/** The page of a search: it has no address. */
export function createSearchPage(query: string, results: readonly SearchResult[]): BrowserPage {
  const items = results.map(({ url, title, snippet = '' }, id) => {
    const name = oneLine(title ?? '') || url;
    return `  * ${linkMark(id, name, url)} ${oneLine(snippet)}`.trimEnd();
  });
  const list = items.length > 0 ? items : ['Nothing was found.'];
  return {
    url: '',
    title: query,
    lines: wrapLines(['', 'URL: ', '# Search Results', '', ...list].join('\n')),
    links: results.map(({ url }) => ({ url })),
  };
}

/** A page that the backend has read. */
export function createDocumentPage(
  url: string,
  { title, html, text }: BrowserDocument,
): BrowserPage {
  const page =
    html === undefined
      ? { title: '', text: withoutMarks(text ?? '').replace(/\r\n?/g, '\n'), links: [] }
      : readHtml(html, url);
  return {
    url,
    title: oneLine(title ?? '') || page.title || url,
    lines: wrapLines(`\nURL: ${url}\n${page.text}`),
    links: page.links.map((link) => ({ url: link })),
  };
}

/** A page as it came, for `view_source`. */
export function createSourcePage(url: string, { html, text = '' }: BrowserDocument): BrowserPage {
  const address = `view-source:${url}`;
  const lines = wrapLines(withoutMarks(html ?? text));
  return { url: address, title: address, lines, links: [] };
}

/** The passages of a page that contain a pattern, in upper or lower case. */
export function createFindPage(page: BrowserPage, pattern: string): BrowserPage {
  const wanted = pattern.toLowerCase();
  const lines = withoutLinks(page.lines.join('\n')).split('\n');
  const starts: number[] = [];
  for (let line = 0; line < lines.length && starts.length < MAX_MATCHES; line++) {
    if (!lines[line]?.toLowerCase().includes(wanted)) continue;
    starts.push(line);
    line += MATCH_LINES - 1;
  }
  const passages = starts.map((start, id) => {
    const passage = lines.slice(start, start + MATCH_LINES).join('\n');
    return `# 【${id}†match at L${start}】\n${passage}`;
  });
  const none = `No \`find\` results for pattern: \`${pattern}\``;
  return {
    url: `${page.url}/find?pattern=${encodeURIComponent(pattern)}`,
    title: `Find results for text: \`${pattern}\` in \`${page.title}\``,
    lines: wrapLines(passages.length > 0 ? passages.join('\n\n') : none),
    links: starts.map((line) => ({ url: page.url, line })),
    foundIn: page,
  };
}

/** Replaces links by their text; one may go over several lines. */
function withoutLinks(text: string): string {
  return text.replace(/【\d+†([^†】]+)(?:†[^†】]+)?】/g, '$1');
}

function oneLine(text: string): string {
  return withoutMarks(text).replace(/\s+/g, ' ').trim();
}
