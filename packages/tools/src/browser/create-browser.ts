import type { ToolDefinition, ToolNamespace } from '@ossicle/harmony';
import type { BrowserBackend } from './browser-backend.ts';
import {
  type BrowserPage,
  createDocumentPage,
  createFindPage,
  createSearchPage,
  createSourcePage,
} from './browser-page.ts';
import { DESCRIPTION, FIND, OPEN, SEARCH } from './browser-tools.ts';
import { type Citation, findCitations } from './citations.ts';

/** The most results of a search. */
const MAX_RESULTS = 20;

/** Lines that are shown before the one that a link is about. */
const LINES_BEFORE = 4;

/** UTF-8 bytes of a token, about, in most languages. */
const BYTES_PER_TOKEN = 4;

/** Options of {@link createBrowser}. */
export interface BrowserOptions {
  /** Where results and pages come from. */
  readonly backend: BrowserBackend;
  /** About how many tokens of a page the model sees at a time. Default: 1024, as in its training. */
  readonly viewTokens?: number;
  /** Whether the user must approve a call, with these arguments, before it runs. Default: no. */
  readonly needsApproval?: NonNullable<ToolDefinition['needsApproval']>;
}

/** The built-in tool `browser`: pass it as one of `builtInTools`. */
export interface Browser extends ToolNamespace {
  /** Finds what an answer cites. */
  resolveCitations(text: string): readonly Citation[];
  /** Forgets all pages; cursors begin at 0 again. */
  reset(): void;
}

type Options = Parameters<ToolDefinition['execute'] & {}>[1];

/**
 * Creates the built-in tool `browser`, with the definition, the displays and the citations that gpt-oss was trained with.
 * Each page that the model sees has a cursor, by which it scrolls, follows links and cites.
 *
 * @throws TypeError if there is no backend.
 */
export function createBrowser({
  backend,
  viewTokens = 1024,
  needsApproval,
}: BrowserOptions): Browser {
  if (typeof backend?.search !== 'function' || typeof backend.fetch !== 'function') {
    throw new TypeError('backend must have the functions search and fetch');
  }
  /** By their cursors. */
  let pages: BrowserPage[] = [];

  const pageAt = (cursor: number): BrowserPage => {
    const page = pages.at(cursor < 0 ? -1 : cursor);
    if (page) return page;
    if (pages.length === 0) throw new RangeError('No page is open: call search or open first.');
    throw new RangeError(`There is no cursor ${cursor}. The last one is ${pages.length - 1}.`);
  };

  /** Gives a page the next cursor, and shows the lines from `loc` on. */
  const show = (page: BrowserPage, loc = 0, lineCount = -1): string => {
    const last = page.lines.length - 1;
    if (loc > last) throw new RangeError(`There is no line ${loc}. The last one is ${last}.`);
    const numbered = page.lines.map((line, i) => `L${i}: ${line}`).slice(loc);
    const count = lineCount > 0 ? lineCount : countLines(numbered, viewTokens * BYTES_PER_TOKEN);
    const shown = numbered.slice(0, count);
    const address = page.url === '' ? '' : ` (${readable(page.url)})`;
    const cursor = pages.push(page) - 1;
    const view = `**viewing lines [${loc} - ${loc + shown.length - 1}] of ${last}**`;
    return `[${cursor}] ${page.title}${address}\n${view}\n\n${shown.join('\n')}`;
  };

  const search = async (input: unknown, { signal }: Options): Promise<string> => {
    const query = textAt(input, 'query');
    const wanted = Math.round(numberAt(input, 'topn', 10));
    const topn = Math.min(Math.max(wanted, 1), MAX_RESULTS);
    const results = await backend.search(query, { topn, signal });
    const usable = results.filter(({ url }) => typeof url === 'string' && url !== '');
    return show(createSearchPage(query, usable.slice(0, topn)));
  };

  const open = async (input: unknown, { signal }: Options): Promise<string> => {
    const id = idAt(input);
    const loc = numberAt(input, 'loc', -1);
    const lineCount = numberAt(input, 'num_lines', -1);
    const isSource = fieldOf(input, 'view_source') === true;
    const read = async (url: string): Promise<BrowserPage> => {
      const create = isSource ? createSourcePage : createDocumentPage;
      return create(url, await backend.fetch(url, { signal }));
    };
    if (typeof id === 'string') return show(await read(id), Math.max(loc, 0), lineCount);

    const page = pageAt(numberAt(input, 'cursor', -1));
    if (id < 0) {
      const target = isSource ? await read(page.url) : page;
      return show(target, Math.max(loc, 0), lineCount);
    }
    const link = page.links[id];
    if (!link) {
      throw new RangeError(`There is no link ${id} on this page, which has ${page.links.length}.`);
    }
    const known = isSource
      ? undefined
      : (page.foundIn ?? pages.findLast(({ url }) => url === link.url));
    const { line = 0 } = link;
    const start = line > LINES_BEFORE ? line - LINES_BEFORE : line;
    return show(known ?? (await read(link.url)), loc < 0 ? start : loc, lineCount);
  };

  const find = async (input: unknown): Promise<string> => {
    const pattern = textAt(input, 'pattern');
    const page = pageAt(numberAt(input, 'cursor', -1));
    if (page.foundIn) {
      throw new RangeError('This page has what find has found: give the cursor of another.');
    }
    return show(createFindPage(page, pattern));
  };

  const approval = needsApproval === undefined ? {} : { needsApproval };
  return {
    name: 'browser',
    description: DESCRIPTION,
    tools: [
      { ...SEARCH, ...approval, execute: search },
      { ...OPEN, ...approval, execute: open },
      { ...FIND, ...approval, execute: find },
    ],
    resolveCitations: (text) => findCitations(text, pages),
    reset: () => {
      pages = [];
    },
  };
}

/** How many lines, at least one, fit into a number of bytes; the last one may go beyond it. */
function countLines(lines: readonly string[], bytes: number): number {
  const encoder = new TextEncoder();
  let left = bytes;
  for (const [i, line] of lines.entries()) {
    left -= encoder.encode(line).length + 1;
    if (left < 0) return i + 1;
  }
  return lines.length;
}

/** An address without percent-encoding, if that is possible. */
function readable(url: string): string {
  try {
    return decodeURI(url).slice(0, 1024);
  } catch {
    return url.slice(0, 1024);
  }
}

function fieldOf(input: unknown, name: string): unknown {
  return typeof input === 'object' && input !== null
    ? (input as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function textAt(input: unknown, name: string): string {
  const value = fieldOf(input, name);
  if (typeof value === 'string' && value.trim() !== '') return value;
  throw new TypeError(`\`${name}\` must be a text that is not empty.`);
}

/** A number, or one that the model has written as a text. */
function numberAt(input: unknown, name: string, byDefault: number): number {
  const value = fieldOf(input, name) ?? byDefault;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number)) return number;
  const shown = JSON.stringify(value)?.slice(0, 100);
  throw new TypeError(`\`${name}\` must be a whole number, not ${shown}.`);
}

/** The id of a link, or an address. */
function idAt(input: unknown): number | string {
  const value = fieldOf(input, 'id');
  if (typeof value === 'string' && !/^\s*-?\d*\s*$/.test(value)) return value.trim();
  return numberAt(value === '' ? {} : input, 'id', -1);
}
