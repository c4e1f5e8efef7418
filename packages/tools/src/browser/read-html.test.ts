import { describe, expect, test } from 'vitest';
import { createBrowser } from './create-browser.ts';
import { readHtml } from './read-html.ts';

const URL_OF_PAGE = 'https://site.example/folder/page';
const read = (html: string): string => readHtml(html, URL_OF_PAGE).text;

describe('readHtml', () => {
  test.each([
    ['paragraphs', '<p>One\n  two</p><p>three</p>four<br>five', 'One two\n\nthree\n\nfour\nfive'],
    ['headings', '<h1>A</h1><div>b</div><H3>C</H3>', '# A\n\nb\n\n### C'],
    ['lists', '<ul><li>a<li><b>b</b> c<ol><li>d</ol></ul>e', '  * a\n  * b c\n    * d\n\ne'],
    ['tables', '<table><tr><th>a<th>b<tr><td>1<td>2</table>', 'a | b\n1 | 2'],
    ['code', '<pre>if x:\n    y  z\n</pre>end', 'if x:\n    y  z\n\nend'],
    ['powers', '<p>x<sup>2</sup> H<sub>2</sub>O<sup>a b</sup></p>', 'x^{2} H_{2}Oa b'],
    ['images', '<img alt="A cat"><img><img src=x title=Dog>', '[Image 0: A cat][Image 1: Dog]'],
    ['a head without an end', '<head><title>T</title><meta x><p>a', 'a'],
    ['what is shown', '<head><meta x></head><script>a("</p>")</script><svg><g>c</g></svg>d', 'd'],
    ['comments', 'a<!-- <p>b -->c<!doctype x>d<?e?>f', 'acdf'],
    ['no tags', '1 < 2 <3 a<', '1 < 2 <3 a<'],
    [
      'characters',
      '&lt;&amp;amp; &#8364;&#x1F642; Gr&uuml;&szlig;e&nbsp;&copy &none; AT&T',
      '<&amp; €🙂 Grüße © &none; AT&T',
    ],
    ['brackets of links', '<p>【1†a】\u200b &#12304;', '〖1†a〗 〖'],
    ['an empty page', '', ''],
    ['what is cut short', '<p>a<b', 'a'],
  ])('reads %s', (_, html, text) => {
    expect(read(html)).toBe(text);
  });

  test('numbers links, each address once, with the host of others', () => {
    const html = `<title> A
      &amp; page </title><a href="other?a=1&amp;b=2">Other</a> <a class=x href='https://b.example/'>B†<img alt="logo"></a>
      <a href="/folder/other?a=1&b=2"><div>a</div><p>gain</p></a> <a href="#top">top</a> <a href="mailto:a@b">mail</a>
      <a href="javascript:x()">run</a> <a href="https://b.example/"><img></a> <a>none</a> <a href="http://[">bad</a>`;
    expect(readHtml(html, URL_OF_PAGE)).toEqual({
      title: 'A & page',
      text: '【0†Other】 【1†B‡[Image 0: logo]†b.example】 【0†a gain】 top mail run none bad',
      links: ['https://site.example/folder/other?a=1&b=2', 'https://b.example/'],
    });
  });

  // Each takes a browser's parser, or a careless pattern, a time that grows with the square of its length.
  test.each([
    '<div>',
    '<a href="x',
    '<!--',
    '<script>',
    '<svg>',
    '<b',
    '&',
    '<pre>\n',
    '<ul><li>',
    "<a href='",
    '</',
    '<a href=x>',
  ])('reads a million characters of %j', (part) => {
    const { text } = readHtml(part.repeat(1_000_000 / part.length), URL_OF_PAGE);
    expect(text.length).toBeLessThanOrEqual(1_000_000);
  });
});

test('a browser shows the text of HTML, and its source if asked', async () => {
  const html = '<title>T</title><h1>Hi</h1><a href="/next">Next</a>';
  const backend = { search: async () => [], fetch: async () => ({ html }) };
  const [, open] = createBrowser({ backend }).tools ?? [];
  const options = { signal: new AbortController().signal, toolCallId: 'a' };
  expect(await open!.execute!({ id: 'https://site.example/' }, options)).toBe(
    '[0] T (https://site.example/)\n**viewing lines [0 - 4] of 4**\n\nL0: \nL1: URL: https://site.example/\nL2: # Hi\nL3: \nL4: 【0†Next】',
  );
  expect(await open!.execute!({ view_source: true }, options)).toBe(
    `[1] view-source:https://site.example/ (view-source:https://site.example/)\n**viewing lines [0 - 0] of 0**\n\nL0: ${html}`,
  );
});
