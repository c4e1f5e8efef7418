import type { BrowserBackend, BrowserDocument, SearchResult } from './browser-backend.ts';
import { readHtml } from './read-html.ts';

/** The usual parameters of BM25: how soon more occurrences of a word stop to count, and how much length does. */
const K1 = 1.2;
const B = 0.75;

/** The most characters of a snippet. */
const SNIPPET = 240;

/** A document of the application. */
export interface LocalDocument extends BrowserDocument {
  /** Its name, by which it is opened and cited, such as `notes/bread.md`. */
  readonly url: string;
}

interface IndexedDocument {
  readonly document: LocalDocument;
  readonly passages: readonly string[];
  /** Word → how often it occurs. */
  readonly counts: ReadonlyMap<string, number>;
  readonly length: number;
}

/**
 * Creates a backend over documents that are at hand. Nothing leaves the page. They are ranked by BM25 (Robertson and
 * Zaragoza, 2009), with words of any language as `Intl.Segmenter` finds them; titles count as text.
 *
 * @throws RangeError if two documents have the same name.
 */
export function createDocumentBackend(documents: readonly LocalDocument[]): BrowserBackend {
  const byUrl = new Map(documents.map((document) => [document.url, document]));
  if (byUrl.size < documents.length) throw new RangeError('Two documents have the same url.');
  let index: readonly IndexedDocument[] | undefined;
  return {
    search: async (query, { topn }) => {
      index ??= documents.map(indexOf);
      return rank(index, new Set(wordsOf(query))).slice(0, topn);
    },
    fetch: async (url) => {
      const document = byUrl.get(url);
      if (document) return document;
      throw new Error(`There is no document ${JSON.stringify(url)}. Search for it first.`);
    },
  };
}

function indexOf(document: LocalDocument): IndexedDocument {
  const { url, title = '', html, text = '' } = document;
  const body = html === undefined ? text : readHtml(html, url).text;
  const counts = new Map<string, number>();
  let length = 0;
  for (const word of wordsOf(`${title}\n${body}`)) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
    length++;
  }
  return { document, passages: body.split('\n'), counts, length };
}

/** The documents with any of the words, the best first. */
function rank(index: readonly IndexedDocument[], words: ReadonlySet<string>): SearchResult[] {
  const meanLength = index.reduce((sum, { length }) => sum + length, 0) / index.length;
  const weights = new Map(
    [...words].map((word) => {
      const found = index.filter(({ counts }) => counts.has(word)).length;
      return [word, Math.log(1 + (index.length - found + 0.5) / (found + 0.5))];
    }),
  );
  const scoreOf = ({ counts, length }: IndexedDocument): number => {
    let score = 0;
    for (const [word, weight] of weights) {
      const count = counts.get(word) ?? 0;
      const damping = K1 * (1 - B + (B * length) / meanLength);
      score += (weight * count * (K1 + 1)) / (count + damping);
    }
    return score;
  };
  return index
    .map((entry) => ({ entry, score: scoreOf(entry) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ entry: { document, passages } }) => ({
      url: document.url,
      title: document.title ?? document.url,
      snippet: snippetOf(passages, weights),
    }));
}

/** The passage with the rarest words of the query. */
function snippetOf(passages: readonly string[], weights: ReadonlyMap<string, number>): string {
  let best = '';
  let bestScore = -1;
  for (const passage of passages) {
    let score = 0;
    for (const word of new Set(wordsOf(passage))) score += weights.get(word) ?? 0;
    if (score <= bestScore) continue;
    best = passage;
    bestScore = score;
  }
  const text = best.trim();
  return text.length > SNIPPET ? `${text.slice(0, SNIPPET)}…` : text;
}

let segmenter: Intl.Segmenter | undefined;

function wordsOf(text: string): string[] {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'word' });
  return [...segmenter.segment(text.normalize('NFKC').toLowerCase())]
    .filter(({ isWordLike }) => isWordLike)
    .map(({ segment }) => segment);
}
