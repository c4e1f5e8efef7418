import type { MarkedExtension, TokenizerAndRendererExtension } from 'marked';
import type { Part } from '../chats/chat-record.ts';
import { element } from '../element.ts';
import { escapeHtml } from './formulas.ts';

/** A page that the tool `browser` has shown to the model. */
export interface CitedPage {
  readonly title: string;
  /** Empty for the results of a search. */
  readonly url: string;
}

/** How what the tool shows begins: cursor, title, and address. */
const HEAD = /^\[(\d+)\] (.+?)(?: \((\S+)\))?\n\*\*viewing lines/;

/** The pages that tools have shown in an answer, by their cursors. */
export function citedPages(parts: readonly Part[]): ReadonlyMap<string, CitedPage> {
  const pages = new Map<string, CitedPage>();
  for (const part of parts) {
    if (part.kind !== 'tool' || !part.name.startsWith('browser.')) continue;
    const [, cursor, title, url = ''] = HEAD.exec(textIn(part.output)) ?? [];
    if (cursor !== undefined && title !== undefined) pages.set(cursor, { title, url });
  }
  return pages;
}

function textIn(output = ''): string {
  try {
    return String(JSON.parse(output));
  } catch {
    return output;
  }
}

/** `【6†L9-L11】`, as gpt-oss cites what its browser has shown; one that has not ended is not shown yet. */
const citation: TokenizerAndRendererExtension = {
  name: 'citation',
  level: 'inline',
  start: (text) => {
    const found = text.indexOf('【');
    return found < 0 ? undefined : found;
  },
  tokenizer(text) {
    const [raw, cursor = '', place = ''] = /^【(\d+)†([^】\n]*)(?:】|$)/.exec(text) ?? [];
    if (raw === undefined) return undefined;
    return { type: 'citation', raw, cursor, place, isWhole: raw.endsWith('】') };
  },
  renderer: ({ cursor, place, isWhole }) =>
    isWhole
      ? `<span class="citation" title="${escapeHtml(place)}">${escapeHtml(cursor)}</span>`
      : '',
};

/** Citations, to be made links by {@link linkCitation}. */
export const citations: MarkedExtension = { extensions: [citation] };

/** Names the page that is cited, with a link to it if it has an address on the web. */
export function linkCitation(found: HTMLElement, pages: ReadonlyMap<string, CitedPage>): void {
  const page = pages.get(found.textContent ?? '');
  if (page === undefined) return;
  const { title, url } = page;
  const isWeb = /^https?:/.test(url) && URL.canParse(url);
  const lines = found.title;
  found.title = lines === '' ? title : `${title}, ${lines}`;
  const name = isWeb ? new URL(url).host : title;
  found.replaceChildren(
    isWeb ? element('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, name) : name,
  );
}
