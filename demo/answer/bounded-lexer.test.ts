import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { Lexer, Marked, type Token } from 'marked';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FUZZ_SEED, fuzzRuns } from '../../packages/core/test/fuzz.ts';
import { BoundedLexer } from './bounded-lexer.ts';
import { formulas } from './formulas.ts';

const marked = new Marked({ gfm: true, breaks: true }, formulas);
const MAX_LENGTH = 32_768;

const isDelimiter = /[*_~`[\]<\\!]/g;

/** What marked's own lexer was given to parse. */
let given = { blocks: 0, inline: 0, longest: 0, delimiters: 0, depth: 0 };

beforeEach(() => {
  const { blockTokens, inlineTokens } = Lexer.prototype;
  let depth = 0;
  vi.spyOn(Lexer.prototype, 'blockTokens').mockImplementation(function (
    this: Lexer,
    text,
    ...rest
  ) {
    given.blocks += text.length;
    given.depth = Math.max(given.depth, ++depth);
    const tokens = blockTokens.call(this, text, ...rest);
    depth--;
    return tokens as never;
  });
  vi.spyOn(Lexer.prototype, 'inlineTokens').mockImplementation(function (
    this: Lexer,
    text,
    tokens,
  ) {
    given.inline += text.length;
    given.longest = Math.max(given.longest, text.length);
    given.delimiters = Math.max(given.delimiters, text.match(isDelimiter)?.length ?? 0);
    return inlineTokens.call(this, text, tokens);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

const lex = (markdown: string): readonly Token[] => new BoundedLexer(marked.defaults).lex(markdown);
const render = (markdown: string): string => marked.parser([...lex(markdown)]);

/** The cells of all tables. */
function cells(tokens: readonly Token[]): number {
  let sum = 0;
  void marked.walkTokens([...tokens], (token) => {
    if (token.type === 'table') sum += token.header.length * (1 + token.rows.length);
  });
  return sum;
}

function expectBounded(markdown: string): void {
  vi.clearAllMocks(); // spies keep all that they are given
  given = { blocks: 0, inline: 0, longest: 0, delimiters: 0, depth: 0 };
  const tokens = lex(markdown);
  expect(given.depth).toBeLessThanOrEqual(16);
  expect(given.delimiters).toBeLessThanOrEqual(256);
  expect(given.longest).toBeLessThanOrEqual(8192);
  expect(given.blocks).toBeLessThanOrEqual(200 * markdown.length);
  expect(given.inline).toBeLessThanOrEqual(200 * markdown.length);
  expect(cells(tokens)).toBeLessThanOrEqual(4000 + markdown.length);
  expect(marked.parser([...tokens]).length).toBeLessThan(100 * markdown.length + 1000);
}

describe('text that breaks marked', () => {
  test.each([
    ['2,601 quotes', '>'.repeat(2601)],
    ['2,400 lists', `${'* '.repeat(2400)}x`],
    ['3,000 numbered lists', `${'1. '.repeat(3000)}x`],
    ['quotes and lists in turn', `${'> - '.repeat(8000)}x`],
    [
      'lists nested by indentation',
      Array.from({ length: 180 }, (_, i) => `${' '.repeat(2 * i)}- a`).join('\n'),
    ],
    ['a line of markers that another continues', `${'- '.repeat(16_000)}a\nb`],
    ['emphasis that does not end', '**_a '.repeat(6000)],
    ['emphasis in emphasis', '*a '.repeat(5000) + 'a* '.repeat(5000)],
    ['words that end in underscores', 'a_'.repeat(16_000)],
    ['brackets', '['.repeat(MAX_LENGTH)],
    ['exclamation marks', '!'.repeat(MAX_LENGTH)],
    [
      'a wide table of short rows',
      `${'|a'.repeat(4000)}|\n${'|-'.repeat(4000)}|\n${'|\n'.repeat(8000)}`,
    ],
    ['a table of rules', '|-|-|\n'.repeat(5000)],
    ['headings that could be tables', 'a\n-\n'.repeat(8000)],
    ['a quoted list that is continued line by line', '> - a\nb\n'.repeat(4000)],
    ['formulas that do not end', '\\[ a\n\n'.repeat(5000)],
    ['formulas in a line that do not end', '\\( a '.repeat(5000)],
    ['a list item of many lines', `+ a\n${'    1)+\n'.repeat(4000)}`],
  ])('%s', (_name, markdown) => {
    expectBounded(markdown);
  });
});

test('any repetition of Markdown is lexed with bounded depth and work', () => {
  const atoms = fc.constantFrom(
    ...[
      '*',
      '**',
      '_',
      '__',
      '~~',
      '`',
      '```',
      '[',
      ']',
      '(',
      ')',
      '](',
      '![',
      '<',
      '>',
      '<a',
      '<!--',
      '-->',
    ],
    ...[
      'a',
      'b c',
      '.',
      '|',
      '-',
      '---',
      '+',
      '1.',
      '1)',
      '=',
      '#',
      ':',
      '"',
      '\\',
      '&',
      ' ',
      '    ',
      '\t',
    ],
    ...[
      '\n',
      '\n\n',
      '\n> ',
      '\n- ',
      '\n1. ',
      '\n  ',
      '> ',
      '- ',
      '1. ',
      '\n```\n',
      '<div>',
      '<?',
      'www.',
    ],
    ...['\\(', '\\)', '\\[', '\\]', '$$'],
    ...['[a]: b', '[ ] ', '|-|-|\n', '| a | b |\n'],
  );
  const word = fc.array(atoms, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));
  const run = fc
    .tuple(word, fc.integer({ min: 1, max: 8000 }))
    .map(([text, times]) => text.repeat(times));
  const payload = fc
    .array(run, { minLength: 1, maxLength: 3 })
    .map((runs) => runs.map((text) => text.slice(0, MAX_LENGTH / runs.length)).join('\n\n'));
  fc.assert(fc.property(payload, expectBounded), {
    numRuns: fuzzRuns('markdown'),
    seed: FUZZ_SEED,
  });
});

test.each([
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
])('%s is lexed as marked does', (path) => {
  const markdown = readFileSync(path, 'utf8');
  expect(lex(markdown)).toEqual(marked.lexer(markdown));
});

test.each([
  'a\nb\n===\n\n* * *\n\n- - -\n\n> > - 1. deep\n> lazy\n\n- [x] done\n\n  - nested\n\n    ```js\n    x\n    ```\n',
  '| a | b |\n|:--|--:|\n| `1` | **2** |\n| 3 |\n\n[r]: https://example.com "t"\n\n[r] ![i](u) <b>x</b> ~~d~~\\\nbr',
])('ordinary Markdown is lexed as marked does: %j', (markdown) => {
  expect(lex(markdown)).toEqual(marked.lexer(markdown));
});

test('what is nested too deep is shown as text', () => {
  const html = render(`${'> '.repeat(20)}deep`);
  expect(html.match(/<blockquote>/g)).toHaveLength(16);
  expect(html.replaceAll('\u200b', '')).toContain('&gt; &gt; &gt; &gt; deep');
});

test('a long paragraph keeps its emphasis', () => {
  const html = render('a **b** c '.repeat(500));
  expect(html.match(/<strong>b<\/strong>/g)?.length).toBeGreaterThan(480);
});
