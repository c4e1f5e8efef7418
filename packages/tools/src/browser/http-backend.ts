import type { BrowserBackend, BrowserDocument, SearchResult } from './browser-backend.ts';

/** The most bytes of an answer. */
const MAX_BYTES = 4 * 2 ** 20;

/** Options of {@link createHttpBackend}. */
export interface HttpBackendOptions {
  /**
   * The address of the search, with `{query}` and, if it is needed, `{topn}`: of SearXNG,
   * `https://search.example/search?format=json&q={query}`.
   */
  readonly searchURL: string;
  /**
   * The address of a proxy for pages, with `{url}`: a page may read only those of servers that allow it. Default: the
   * page's own address.
   */
  readonly pageURL?: string;
  /** Sent with each request, for example a key. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Reads an answer of the search. Default: `results` with `url`, `title` and `content`, as SearXNG has them. */
  readonly readResults?: (answer: unknown) => readonly SearchResult[];
}

/**
 * Creates a backend that asks a search service for JSON, such as SearXNG, and reads pages over HTTP.
 *
 * @throws TypeError if an address has no place for the query or the page.
 */
export function createHttpBackend({
  searchURL,
  pageURL = '',
  headers = {},
  readResults = readSearxng,
}: HttpBackendOptions): BrowserBackend {
  if (!searchURL?.includes('{query}')) throw new TypeError('searchURL must contain {query}');
  if (pageURL !== '' && !pageURL.includes('{url}')) {
    throw new TypeError('pageURL must contain {url}');
  }
  const get = async (url: string, signal: AbortSignal, own: HeadersInit): Promise<Response> => {
    const response = await fetch(url, { signal, credentials: 'omit', headers: own });
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    return response;
  };
  return {
    search: async (query, { topn, signal }) => {
      const url = fill(searchURL, { query, topn: String(topn) });
      return readResults(JSON.parse(await textOf(await get(url, signal, headers))));
    },
    fetch: async (url, { signal }) => {
      if (!/^https?:\/\//.test(url)) throw new Error(`${url} is no address of a web page.`);
      const response =
        pageURL === ''
          ? await get(url, signal, {})
          : await get(fill(pageURL, { url }), signal, headers);
      return readPage(response);
    },
  };
}

function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (mark, name) =>
    values[name] === undefined ? mark : encodeURIComponent(values[name]),
  );
}

function readSearxng(answer: unknown): SearchResult[] {
  const { results } = (answer ?? {}) as { readonly results?: unknown };
  if (!Array.isArray(results)) throw new Error('The answer of the search has no results.');
  return results.map(({ url, title, content }) => ({
    url: String(url ?? ''),
    title: String(title ?? ''),
    snippet: String(content ?? ''),
  }));
}

async function readPage(response: Response): Promise<BrowserDocument> {
  const type = response.headers.get('content-type') ?? 'text/html';
  if (/html/.test(type)) return { html: await textOf(response) };
  if (/^text\/|json|xml/.test(type)) return { text: await textOf(response) };
  await response.body?.cancel();
  throw new Error(`This is no text, but ${type}.`);
}

/** The beginning of a body, as text. */
async function textOf(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let left = MAX_BYTES;
  while (reader && left > 0) {
    const { value, done } = await reader.read();
    if (done) break;
    text += decoder.decode(value.subarray(0, left), { stream: true });
    left -= value.length;
  }
  await reader?.cancel();
  return text + decoder.decode();
}
