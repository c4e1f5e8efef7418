import type { BrowserPage } from './browser-page.ts';

/** A place of an answer that cites a page. */
export interface Citation {
  /** Where it begins and ends in the text. */
  readonly start: number;
  readonly end: number;
  /** The page that is cited. */
  readonly url: string;
  readonly title: string;
  /** The lines that are cited, joined; empty if the citation names none. */
  readonly passage: string;
}

/**
 * Finds citations such as `【6†L9-L11】` or `【8†L3】`.
 *
 * @param pages - By their cursors. Citations of others, and of results of a search that are none, are left out.
 */
export function findCitations(text: string, pages: readonly BrowserPage[]): Citation[] {
  return [...text.matchAll(/【(\d+)†([^】]*)】/g)].flatMap((match) => {
    const page = pages[Number(match[1])];
    if (!page) return [];
    const lines = linesOf(page, match[2] ?? '');
    const url = (page.foundIn ?? page).url || firstLink(page, lines);
    if (url === undefined) return [];
    const { title } = page.foundIn ?? page;
    const passage = lines.join('\n');
    return [{ start: match.index, end: match.index + match[0].length, url, title, passage }];
  });
}

function linesOf({ lines }: BrowserPage, place: string): readonly string[] {
  const [, first, last = first] = /L(\d+)(?:-L?(\d+))?/.exec(place) ?? [];
  return first === undefined ? [] : lines.slice(Number(first), Number(last) + 1);
}

/** The address of the first link in some lines of a page. */
function firstLink({ links }: BrowserPage, lines: readonly string[]): string | undefined {
  const [, id] = /【(\d+)†/.exec(lines.join('\n')) ?? [];
  return id === undefined ? undefined : links[Number(id)]?.url;
}
