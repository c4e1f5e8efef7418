import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fuzz, jsonValue } from '../../../core/test/fuzz.ts';
import { createBrowser } from './create-browser.ts';

const html = fc
  .array(
    fc.constantFrom(
      ...['<a href="', "<a href='/x'>", '</a>', '<li>', '<ul>', '</ul>', '<p>', '<pre>', '</pre>'],
      ...['<sup>', '</sup>', '<!--', '-->', '<script>', '</script>', '<svg>', '</svg>', '<td>'],
      ...['<img alt=【>', '">', '>', '<', '</', '&lt;', '&#12304;', '&#x110000;', '【0†a】', '†'],
      ...['word ', 'x'.repeat(100), '\n', '\t', '💖', '\ud800', ' ', '<title>', '</title>', '<h2>'],
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

const input = fc.oneof(
  jsonValue,
  fc.record(
    {
      query: fc.string(),
      pattern: fc.string(),
      ...{ id: jsonValue, cursor: jsonValue, loc: jsonValue, num_lines: jsonValue },
      view_source: fc.boolean(),
    },
    { requiredKeys: [] },
  ),
  fc.record({ id: fc.nat(4), loc: fc.integer({ min: -2, max: 9 }) }, { requiredKeys: [] }),
  fc.record({ id: fc.constant('https://a.example/'), pattern: fc.constant('word') }),
);

test('any calls of browser on any pages give a display with the next cursor, or an error for the model', () =>
  fuzz(
    'browser',
    fc.tuple(html, fc.array(fc.tuple(fc.nat(2), input), { maxLength: 8 })),
    async ([page, calls]) => {
      const browser = createBrowser({
        backend: {
          search: async () => [{ url: 'https://a.example/', title: page, snippet: page }],
          fetch: async () => ({ html: page }),
        },
      });
      const options = { signal: new AbortController().signal, toolCallId: 'a' };
      let cursor = 0;
      for (const [tool, given] of [[0, { query: 'a' }], [1, { id: 0 }], ...calls] as const) {
        const output = await Promise.resolve(browser.tools![tool]!.execute!(given, options)).catch(
          (error: unknown) => error,
        );
        if (output instanceof Error) {
          expect(output.message.length).toBeLessThan(300);
          continue;
        }
        const [head = '', body = ''] = String(output).split(/\n\n(L\d+: .*)$/s);
        expect(head).toMatch(new RegExp(`^\\[${cursor++}\\] .*\n\\*\\*viewing lines \\[`, 's'));
        for (const line of body.split('\n')) expect(line).toMatch(/^L\d+: .{0,80}$/u);
        browser.resolveCitations(String(output));
      }
      expect(cursor).toBeGreaterThan(1);
    },
  ));
