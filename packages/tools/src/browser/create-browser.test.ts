import type { ToolDefinition } from '@ossicle/harmony';
import { describe, expect, test, vi } from 'vitest';
import { call, createModel, run } from '../../../core/test/scripted-model.ts';
import type { BrowserBackend } from './browser-backend.ts';
import { type Browser, createBrowser } from './create-browser.ts';

const PAGES: Readonly<Record<string, string>> = {
  'https://en.example.org/wiki/Stapes':
    'The stapes is a bone.\nIt is in the middle ear.\nThe stapes is the smallest bone.',
  'https://long.example/': Array.from({ length: 400 }, (_, i) => `Line ${i} of the page.`).join(
    '\n',
  ),
};

const backend: BrowserBackend = {
  search: async (query, { topn }) =>
    query === 'nothing'
      ? []
      : Object.keys(PAGES)
          .map((url) => ({ url, title: `On 【${query}】`, snippet: `Found†\nfor ${query}.` }))
          .slice(0, topn),
  fetch: async (url) => {
    const text = PAGES[url];
    if (text === undefined) throw new Error('The server answered 404.');
    return { title: `Page of ${new URL(url).host}`, text };
  },
};

const signal = new AbortController().signal;

/** Calls a tool of a browser, as the loop does. */
async function callTool(browser: Browser, name: string, input: unknown): Promise<string> {
  const tool = browser.tools?.find((entry) => entry.name === name) as ToolDefinition;
  return (await tool.execute?.(input, { signal, toolCallId: 'call' })) as string;
}

describe('browser', () => {
  test('shows the results of a search with links', async () => {
    const browser = createBrowser({ backend });
    expect(await callTool(browser, 'search', { query: 'stapes', topn: 2 })).toBe(
      `[0] stapes
**viewing lines [0 - 5] of 5**

L0: 
L1: URL: 
L2: # Search Results
L3: 
L4:   * 【0†On 〖stapes〗†en.example.org】 Found† for stapes.
L5:   * 【1†On 〖stapes〗†long.example】 Found† for stapes.`,
    );
    expect(await callTool(browser, 'search', { query: 'stapes', topn: '1' })).toMatch(
      /^\[1\] .* of 4/s,
    );
    expect(await callTool(browser, 'search', { query: 'nothing' })).toContain('Nothing was found');
  });

  test('opens a link of a search, and finds in the page', async () => {
    const browser = createBrowser({ backend });
    await callTool(browser, 'search', { query: 'stapes' });
    expect(await callTool(browser, 'open', { id: 0 })).toBe(
      `[1] Page of en.example.org (https://en.example.org/wiki/Stapes)
**viewing lines [0 - 4] of 4**

L0: 
L1: URL: https://en.example.org/wiki/Stapes
L2: The stapes is a bone.
L3: It is in the middle ear.
L4: The stapes is the smallest bone.`,
    );
    expect(await callTool(browser, 'find', { pattern: 'SMALLEST' })).toBe(
      `[2] Find results for text: \`SMALLEST\` in \`Page of en.example.org\` (https://en.example.org/wiki/Stapes/find?pattern=SMALLEST)
**viewing lines [0 - 1] of 1**

L0: # 【0†match at L4】
L1: The stapes is the smallest bone.`,
    );
    expect(await callTool(browser, 'find', { pattern: 'anvil', cursor: 1 })).toContain(
      'L0: No `find` results for pattern: `anvil`',
    );
  });

  test('shows about 1024 tokens of a long page, from the line that is asked for', async () => {
    const browser = createBrowser({ backend });
    const first = await callTool(browser, 'open', { id: 'https://long.example/' });
    const [, last = ''] = /viewing lines \[0 - (\d+)\] of 401/.exec(first) ?? [];
    expect(first.length / 4).toBeGreaterThan(1000);
    expect(first.length / 4).toBeLessThan(1060);
    expect(first).toMatch(new RegExp(`\nL${last}: Line ${Number(last) - 2} of the page\\.$`));
    const next = await callTool(browser, 'open', { loc: Number(last) + 1, num_lines: 3 });
    expect(next).toContain(
      `[1] Page of long.example (https://long.example/)\n**viewing lines [${Number(last) + 1} - ${Number(last) + 3}] of 401**`,
    );
    expect(await callTool(browser, 'open', { loc: 400 })).toMatch(
      /\[400 - 401\] of 401.*L401: Line 399/s,
    );
    await callTool(browser, 'find', { pattern: 'line 100 ' });
    expect(await callTool(browser, 'open', { id: 0, num_lines: 6 })).toMatch(
      /\[98 - 103\].*L102: Line 100/s,
    );
    expect(await callTool(browser, 'open', { cursor: 0, loc: 5, num_lines: 1 })).toMatch(
      /\nL5: Line 3 of the page\.$/,
    );
  });

  test('reads a page once if its links are followed, and again if its address is given', async () => {
    const read = vi.fn(backend.fetch);
    const browser = createBrowser({ backend: { ...backend, fetch: read } });
    const url = 'https://long.example/';
    await callTool(browser, 'search', { query: 'x' });
    for (let i = 0; i < 2; i++) await callTool(browser, 'open', { id: 1, cursor: 0 });
    expect(read.mock.calls.map(([address]) => address)).toEqual([url]);
    await callTool(browser, 'open', { id: url });
    await callTool(browser, 'open', { id: '1', cursor: 0, view_source: true });
    expect(read).toHaveBeenCalledTimes(3);
  });

  test.each([
    ['open', {}, /No page is open/],
    ['open', { id: 'https://missing.example/' }, /404/],
    ['search', {}, /`query` must be a text/],
    ['search', null, /`query` must be a text/],
    ['search', { query: 'x', topn: 'many' }, /`topn` must be a whole number, not "many"/],
    ['find', { pattern: '' }, /`pattern`/],
    ['open', { id: 2, cursor: 0 }, /no link 2 on this page, which has 2/, 'x'],
    ['open', { cursor: 7 }, /no cursor 7\. The last one is 0/, 'x'],
    ['open', { loc: 99 }, /no line 99\. The last one is 5/, 'x'],
    ['open', { id: [0] }, /`id` must be/, 'x'],
  ])('refuses %s of %j', async (name, input, message, query?: string) => {
    const browser = createBrowser({ backend });
    if (query !== undefined) await callTool(browser, 'search', { query });
    await expect(callTool(browser, name, input)).rejects.toThrow(message);
  });

  test('numbers pages by what the model has seen: a call that fails takes no cursor', async () => {
    const browser = createBrowser({ backend });
    await callTool(browser, 'open', { id: 'https://long.example/' });
    await expect(callTool(browser, 'open', { loc: 999 })).rejects.toThrow();
    expect(await callTool(browser, 'open', { loc: 1 })).toMatch(/^\[1\]/);
    browser.reset();
    expect(await callTool(browser, 'search', { query: 'x' })).toMatch(/^\[0\]/);
  });

  test('works in the loop: the model reads displays and errors, and the answer is resolved', async () => {
    const browser = createBrowser({ backend });
    const answer = 'The smallest bone【1†L4】.';
    const model = createModel(
      [call('browser.search', { query: 'bone' })],
      [call('browser.open', { id: 0 })],
      [call('browser.open', { cursor: 9 })],
      answer,
    );
    const { result } = await run(model, { builtInTools: [browser] });
    const reads = model.prompts.slice(1).map((prompt) => prompt.at(-1));
    expect(reads[0]).toMatchObject({
      name: 'browser.search',
      content: expect.stringMatching(/^\[0\] bone\n/),
    });
    expect(reads[1]).toMatchObject({
      name: 'browser.open',
      content: expect.stringMatching(/^\[1\] /),
    });
    expect(reads[2]!.content).toBe('{"error":"There is no cursor 9. The last one is 1."}');
    expect(browser.resolveCitations(result.text)).toEqual([
      {
        start: 17,
        end: 23,
        url: 'https://en.example.org/wiki/Stapes',
        title: 'Page of en.example.org',
        passage: 'The stapes is the smallest bone.',
      },
    ]);
  });
});

describe('resolveCitations', () => {
  const urlsOf = (browser: Browser, text: string) =>
    browser.resolveCitations(text).map(({ url, passage }) => [url, passage]);

  test('finds lines, results of a search and passages that find has found', async () => {
    const browser = createBrowser({ backend });
    await callTool(browser, 'search', { query: 'x' });
    await callTool(browser, 'open', { id: 0 });
    await callTool(browser, 'find', { pattern: 'smallest' });
    const [stapes, long] = Object.keys(PAGES);
    expect(urlsOf(browser, 'a【1†L2-L3】b【1†L3】')).toEqual([
      [stapes, 'The stapes is a bone.\nIt is in the middle ear.'],
      [stapes, 'It is in the middle ear.'],
    ]);
    expect(urlsOf(browser, '【0†L5】')[0]![0]).toBe(long);
    expect(urlsOf(browser, '【2†L1】')[0]![0]).toBe(stapes);
    expect(urlsOf(browser, '【1†source】')).toEqual([[stapes, '']]);
  });

  test('leaves out what is none', async () => {
    const browser = createBrowser({ backend });
    expect(urlsOf(browser, '【0†L1】')).toEqual([]);
    await callTool(browser, 'search', { query: 'x' });
    expect(urlsOf(browser, '【0†L0】【7†L1】【†L1】【0†L4')).toEqual([]);
  });
});

test('a browser without a backend is refused', () => {
  expect(() => createBrowser({} as { backend: BrowserBackend })).toThrow(/backend must have/);
});
