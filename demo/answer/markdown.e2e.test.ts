import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { chromeOptions } from '../../scripts/browser.ts';

let server: ViteDevServer;
let browser: Browser;
let page: Page;
const fetched: string[] = [];

beforeAll(async () => {
  server = await createServer({
    configFile: false,
    root: 'demo',
    logLevel: 'silent',
    cacheDir: '../node_modules/.vite/markdown-test',
    optimizeDeps: {
      noDiscovery: true,
      include: ['dompurify', 'highlight.js/lib/common', 'marked', 'temml'],
    },
  });
  await server.listen(0);
  browser = await puppeteer.launch(await chromeOptions());
  page = await browser.newPage();
  await page.setRequestInterception(true);
  page.on('request', (request) => {
    fetched.push(request.url());
    const isBlank = request.url().endsWith('/blank.html');
    void (isBlank
      ? request.respond({ contentType: 'text/html', body: '<!doctype html><title>Blank</title>' })
      : request.continue());
  });
  await page.goto(`${server.resolvedUrls?.local[0]}blank.html`);
});
beforeEach(() =>
  // A string, because the test runner would rewrite the import.
  page.evaluate(`import('/answer/markdown.ts').then(({ MarkdownView }) => {
    globalThis.view = new MarkdownView();
    document.body.replaceChildren(view.element);
  })`),
);
afterAll(async () => {
  await browser.close();
  await server.close();
});

/** Renders Markdown and returns the HTML of it. */
async function render(markdown: string): Promise<string> {
  await page.evaluate(`view.render(${JSON.stringify(markdown)})`);
  return page.evaluate(() => document.querySelector('.markdown')?.innerHTML ?? '');
}

test('emphasis, lists and tables are rendered', async () => {
  expect(await render('**a** *b* `c`')).toBe(
    '<p><strong>a</strong> <em>b</em> <code>c</code></p>\n',
  );
  expect(await render('1. x\n2. y')).toMatch(/<ol>\s*<li>x<\/li>\s*<li>y<\/li>\s*<\/ol>/);
  expect(await render('| a | b |\n| - | -: |\n| 1 | 2 |')).toContain('<td align="right">2</td>');
});

test.each([
  '<img src=x onerror="document.title=1">',
  '<script>document.title=1</script>',
  'a <b onclick="document.title=1">b</b>',
  '<style>body{display:none}</style>',
  '<iframe src="https://example.com"></iframe>',
])('HTML that a model writes is shown as text: %s', async (html) => {
  await render(html);
  expect(await page.evaluate(() => document.querySelector('.markdown')?.textContent?.trim())).toBe(
    html,
  );
  expect(await page.title()).toBe('Blank');
});

test('images become links, and nothing is fetched', async () => {
  const before = fetched.length;
  expect(await render('![a cat](https://example.com/cat.png)')).toMatch(
    /<a (?=[^>]*href="https:\/\/example.com\/cat.png")[^>]*>a cat<\/a>/,
  );
  expect(fetched.slice(before)).toEqual([]);
});

test('links open in a new tab and send no referrer', async () => {
  await render('[a](https://example.com)');
  const link = await page.evaluate(() => {
    const { target, rel } = document.querySelector('a') ?? {};
    return { target, rel };
  });
  expect(link).toEqual({ target: '_blank', rel: 'noopener noreferrer' });
});

test.each(['javascript:alert(1)', 'data:text/html,x', 'vbscript:x', 'blob:https://x/y'])(
  'a link to %s leads nowhere',
  async (address) => {
    expect(await render(`[a](${address})`)).not.toContain('href');
  },
);

test('finished blocks keep their elements while the text grows', async () => {
  await render('First.\n\n```js\nlet a');
  await page.evaluate(() => document.querySelector('.markdown p')?.setAttribute('data-kept', ''));
  const html = await render('First.\n\n```js\nlet a = 1;\n```\n\nLast.');
  expect(html).toContain('data-kept');
  expect(html).toContain('let a = 1;');
  expect(html).toContain('Last.');
});

test('text rendered as it grows ends up like text rendered at once', async () => {
  const text =
    '# T\n\n- a\n- b\n\n| x |\n| - |\n| 1 |\n\n> q\n\n```q\nf()\n```\n\n[l][1] end\n\n[1]: https://example.com\n';
  for (let end = 1; end < text.length; end++)
    await page.evaluate(`view.render(${JSON.stringify(text.slice(0, end))})`);
  const grown = await render(text);
  await render('');
  expect(grown).toBe(await render(text));
});

test.each([
  ['2,601 quotes', '>'.repeat(2601)],
  ['2,400 lists', `${'* '.repeat(2400)}x`],
  ['3,000 numbered lists', `${'1. '.repeat(3000)}x`],
  ['emphasis that does not end', '**_a '.repeat(6000)],
])('%s are shown whole', async (_name, markdown) => {
  const html = await render(markdown);
  expect(html.match(/<(blockquote|ul|ol)>/g)?.length ?? 0).toBeLessThanOrEqual(16);
  const shown = await page.evaluate(() => document.querySelector('.markdown')?.textContent ?? '');
  const isWord = /[ax]/g;
  expect(shown.match(isWord)?.length).toBe(markdown.match(isWord)?.length);
});

test('text that cannot be rendered is shown as it is, until it can', async () => {
  await render('First.\n\nSecond');
  await page.evaluate(() => {
    const { querySelectorAll } = DocumentFragment.prototype;
    DocumentFragment.prototype.querySelectorAll = () => {
      DocumentFragment.prototype.querySelectorAll = querySelectorAll;
      throw new Error('out of order');
    };
  });
  expect(await render('First.\n\n**Second**')).toBe('<p class="plain">First.\n\n**Second**</p>');
  expect(await render('First.\n\n**Second**.')).toBe(
    '<p>First.</p>\n<p><strong>Second</strong>.</p>\n',
  );
});

test.each([
  ['\\( \\frac{a}{b} \\)', 'mfrac'],
  ['Area: $$\\pi r^2$$ of a circle', 'msup'],
  ['\\[\n\\sum_{i=1}^n i\n\n= x\n\\]', 'munderover'],
  ['The sum is:\n\\[\na\n- b\n\\frac{c}{d}\n\\]\nas shown.', '[display=block] mfrac'],
  ['The sum is:\n$$\na\n+ \\frac{c}{d}\n$$', '[display=block] mfrac'],
  ['1. The sum:\n   \\[ \\frac{c}{d} \\]', '[display=block] mfrac'],
])('a formula is typeset as MathML: %s', async (markdown, tag) => {
  await render(markdown);
  await page.waitForSelector(`.math ${tag}`);
});

test('a formula that arrives in pieces is shown as it was written, then typeset, and prices stay text', async () => {
  expect(await render('So \\( x^2 + \\fr')).toContain('is-open">\\( x^2 + \\fr</span>');
  expect(await render('\\[ x^2 +')).toContain('is-open">\\[ x^2 +</span>');
  await render('So \\( x^2 \\), for $5 or $6.');
  await page.waitForSelector('.math msup');
  expect(await page.evaluate(() => document.querySelectorAll('.math').length)).toBe(1);
});

test('prices in doubled dollars stay text, at the start of a line, too', async () => {
  await render('$$5 and $$6.\n\nFrom\n$$7 to $$8.\n\nMore, at $$9 or $$10.');
  expect(await page.evaluate(() => document.querySelector('.markdown')?.textContent)).toBe(
    '$$5 and $$6.\nFrom$$7 to $$8.\nMore, at $$9 or $$10.\n',
  );
  expect(await page.evaluate(() => document.querySelectorAll('.math').length)).toBe(0);
});

test('a formula that arrives in pieces is never read as Markdown, and moves nothing before it', async () => {
  const text = 'The sum:\n\\[\na_1 *b* + c_2\n- d\n\\]\nand $$a_1 + b_1 * c$$ too.';
  await render('The sum:\n');
  await page.evaluate(() => document.querySelector('p')?.setAttribute('data-kept', ''));
  for (let end = 'The sum:\n\\['.length; end <= text.length; end++) {
    const html = await render(text.slice(0, end));
    expect(html).toContain('data-kept');
    expect(html).not.toMatch(/<(em|li|h2)>/);
  }
});

test('a formula takes no id and no link of the page, and a wrong one stays as it was written', async () => {
  await render('\\[ \\begin{equation}\\label{prompt} x \\end{equation} \\]');
  await page.waitForSelector('.math math');
  expect(await page.evaluate(() => document.querySelector('.markdown [id]'))).toBeNull();
  await render('\\( \\href{https://example.com}{x} \\) and \\( \\nonsense{ \\)');
  await page.waitForSelector('.math.is-open');
  expect(await page.evaluate(() => document.querySelector('.markdown [href]'))).toBeNull();
});

test('a citation names the page that the browser tool has shown, and links to it; half of one is not shown', async () => {
  await page.evaluate(`Promise.all(
    ['/answer/markdown.ts', '/answer/citations.ts'].map((url) => import(url)),
  ).then(([{ MarkdownView }, { citedPages }]) => {
    const shown = '[6] Bread (https://bread.example/loaf)\\n**viewing lines [0 - 9] of 9**';
    const call = { kind: 'tool', id: '1', name: 'browser.open', input: '', state: 'done' };
    const pages = citedPages([{ ...call, output: JSON.stringify(shown) }]);
    globalThis.view = new MarkdownView(() => pages);
    document.body.replaceChildren(view.element);
  })`);
  expect(await render('10 g of salt 【6†L9')).toBe('<p>10 g of salt </p>\n');
  expect(await render('10 g of salt 【6†L9-L11】, or so【7†L1】.')).toBe(
    '<p>10 g of salt <span class="citation" title="Bread, L9-L11">' +
      '<a href="https://bread.example/loaf" target="_blank" rel="noopener noreferrer">bread.example</a></span>, ' +
      'or so<span class="citation" title="L1">7</span>.</p>\n',
  );
});

test('whole code is colored in its language, without a change of its text', async () => {
  await render('```python\nprint("<b>&amp;")\n```\n');
  await page.waitForSelector('code .hljs-string');
  expect(await page.evaluate(() => document.querySelector('pre')?.textContent)).toBe(
    'print("<b>&amp;")\n',
  );
});

test('code that arrives in pieces keeps its element', async () => {
  await render('```q\nlet a');
  await page.evaluate(() => document.querySelector('code')?.setAttribute('data-kept', ''));
  await render('```q\nlet a = 1\nlet b');
  expect(await page.evaluate(() => document.querySelector('[data-kept]')?.textContent)).toBe(
    'let a = 1\nlet b\n',
  );
});

test('an answer of 20,000 tokens is lexed and rendered at its end only', async () => {
  const counts = await page.evaluate(`(async () => {
    const { BoundedLexer } = await import('/answer/bounded-lexer.ts');
    const { lex } = BoundedLexer.prototype;
    let lexed = 0;
    BoundedLexer.prototype.lex = function (text) {
      lexed += text.length;
      return lex.call(this, text);
    };
    let added = 0;
    const observer = new MutationObserver((records) => {
      for (const { addedNodes } of records)
        for (const node of addedNodes) added += node instanceof Element ? 1 : 0;
    });
    observer.observe(view.element, { childList: true });
    let text = '';
    let steps = 0;
    for (let block = 0; block < 800; block++) {
      for (const piece of ['A **paragraph** of about ', 'twenty-five tokens, ', 'with \`code\`.\\n\\n']) {
        text += piece;
        view.render(text);
        steps++;
      }
    }
    await Promise.resolve();
    for (const record of observer.takeRecords()) added += record.addedNodes.length;
    BoundedLexer.prototype.lex = lex;
    return { lexed, added, steps, length: text.length, shown: view.element.textContent.length };
  })()`);
  const { lexed, added, steps, length, shown } = counts as Record<string, number> & {
    [name in 'lexed' | 'added' | 'steps' | 'length' | 'shown']: number;
  };
  expect(shown).toBeGreaterThan(0.8 * length);
  expect(lexed / steps).toBeLessThan(200);
  expect(added / steps).toBeLessThan(3);
});
