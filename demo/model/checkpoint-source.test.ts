import { expect, test } from 'vitest';
import {
  allowedConnections,
  embeddedSource,
  isReachable,
  localSource,
  pageAddress,
  parseMirror,
  parseSource,
  requestedSource,
} from './checkpoint-source.ts';

const PAGE = 'https://demo.example/ossicle/?model=x/y#top';
const parse = (text: string) => {
  const found = parseSource(text, PAGE);
  if (found === undefined) throw new Error(`${text} is not a source`);
  return found;
};

test.each([
  ['openai/gpt-oss-20b', 'openai/gpt-oss-20b', 'gpt-oss-20b', 'huggingface'],
  [' openai/gpt-oss-20b@main ', 'openai/gpt-oss-20b', 'gpt-oss-20b', 'huggingface'],
  ['a/b@v1.0', 'a/b@v1.0', 'b@v1.0', 'huggingface'],
  ['https://huggingface.co/openai/gpt-oss-20b', 'openai/gpt-oss-20b', 'gpt-oss-20b', 'huggingface'],
  ['https://huggingface.co/a/b/tree/dev', 'a/b@dev', 'b@dev', 'huggingface'],
  ['https://models.example/m?token=1#x', 'https://models.example/m/', 'm', 'host'],
  ['http://localhost:8000', 'http://localhost:8000/', 'localhost:8000', 'host'],
  [
    'https://models.example/m/gpt-oss-20b-Q8_0.gguf',
    'https://models.example/m/gpt-oss-20b-Q8_0.gguf',
    'gpt-oss-20b-Q8_0',
    'host',
  ],
  [
    'https://models.example/m/x-00001-of-00003.GGUF',
    'https://models.example/m/x-00001-of-00003.GGUF',
    'x',
    'host',
  ],
  ['https://huggingface.co/a/b/blob/main/c.gguf', 'a/b/c.gguf', 'c', 'huggingface'],
  [
    'a/b/dir/c-00001-of-00002.gguf@dev',
    'a/b/dir/c-00001-of-00002.gguf@dev',
    'c@dev',
    'huggingface',
  ],
  ['https://models.example/100%/', 'https://models.example/100%/', '100%', 'host'],
  ['./other/model', 'https://demo.example/ossicle/other/model/', 'model', 'page'],
  ['/elsewhere/', 'https://demo.example/elsewhere/', 'elsewhere', 'page'],
  [
    './models/gpt-oss-nano/',
    'https://demo.example/ossicle/models/gpt-oss-nano/',
    'gpt-oss-nano',
    'embedded',
  ],
])('%s is read as a source', (text, source, name, origin) => {
  expect(parse(text)).toMatchObject({ source, name, origin });
});

test.each([
  '',
  'gpt-oss-20b',
  'a/b/c',
  'javascript:alert(1)',
  'ftp://host/m/',
  'https://',
  'a b/c',
  'https://a.example;script-src/x/',
  "https://a.example'self'/x/",
  'https://a.example,b.example/x/',
  'https://a*.example/x/',
])('"%s" is not a source', (text) => {
  expect(parseSource(text, PAGE)).toBeUndefined();
});

test('a page opened for a host may connect to itself and to that host alone', () => {
  expect(allowedConnections(parse('https://models.example:8443/m/'))).toEqual([
    "'self'",
    'https://models.example:8443',
  ]);
});

test('a page opened for its own model or for a repository may connect to itself and to Hugging Face alone', () => {
  const expected = [
    "'self'",
    'https://huggingface.co',
    'https://*.huggingface.co',
    'https://*.hf.co',
  ];
  expect(allowedConnections(embeddedSource(PAGE))).toEqual(expected);
  expect(allowedConnections(parse('openai/gpt-oss-20b'))).toEqual(expected);
});

test('a checkpoint is reachable if, and only if, the policy of the open page allows its host', () => {
  const [embedded, repository, host, sameHost, other] = [
    embeddedSource(PAGE),
    parse('openai/gpt-oss-20b'),
    parse('https://models.example/m/'),
    parse('https://models.example/n/'),
    parse('https://other.example/m/'),
  ];
  const reachable = (opened: typeof embedded) =>
    [embedded, repository, host, sameHost, other].map((checkpoint) =>
      isReachable(checkpoint, opened),
    );
  expect(reachable(embedded)).toEqual([true, true, false, false, false]);
  expect(reachable(repository)).toEqual([true, true, false, false, false]);
  expect(reachable(host)).toEqual([true, false, true, true, false]);
});

test('the URL of a page names its checkpoint unless it is the embedded one', () => {
  for (const text of ['openai/gpt-oss-20b', 'https://models.example/m/', './other/'])
    expect(requestedSource(pageAddress(parse(text), PAGE))).toEqual(parse(text));
  expect(pageAddress(embeddedSource(PAGE), PAGE)).not.toContain('?');
  expect(requestedSource('https://demo.example/ossicle/?model=javascript:1').origin).toBe(
    'embedded',
  );
});

test('a mirror is part of the policy and the URL, and is reachable only if the page was opened for it', () => {
  const mirrored = parseSource('a/b@dev', PAGE, parseMirror('https://mirror.example/hf/'));
  if (mirrored === undefined) throw new Error('not read');
  expect(mirrored).toMatchObject({ host: 'mirror.example', mirror: 'https://mirror.example/hf' });
  expect(allowedConnections(mirrored)).toContain('https://mirror.example');
  expect(allowedConnections(parse('a/b'))).not.toContain('https://mirror.example');
  expect(requestedSource(pageAddress(mirrored, PAGE))).toEqual(mirrored);
  expect(isReachable(mirrored, mirrored)).toBe(true);
  expect(isReachable(mirrored, embeddedSource(PAGE))).toBe(false);
  expect(isReachable(parse('a/b'), mirrored)).toBe(true);
  for (const text of ['', 'mirror.example', 'ftp://mirror.example', 'https://'])
    expect(parseMirror(text)).toBeUndefined();
});

test.each([
  'https://models.example/m/',
  'https://127.0.0.1:8443/m/',
  'http://[::1]:8080/m/',
  'https://xn--bcher-kva.example/m/',
  'https://bücher.example/m/',
  'https://my_host.example/m/',
])('%s allows one host and nothing else', (text) => {
  const { origin } = new URL(text);
  expect(allowedConnections(parse(text))).toEqual(["'self'", origin]);
  expect(origin).toMatch(/^https?:\/\/[\w.:[\]-]+$/);
});

test('a mirror with a host that would end the directive is refused', () => {
  expect(parseMirror('https://mirror.example;script-src/hf')).toBeUndefined();
  const page = 'https://demo.example/?model=a/b&mirror=https://mirror.example;script-src/hf';
  expect(requestedSource(page).mirror).toBeUndefined();
});

test('local files are named after their folder or GGUF file, and leave the URL as it is', () => {
  const parts = localSource([new File([], 'x-00001-of-00002.gguf')], 'unnamed');
  expect(parts).toMatchObject({ name: 'x', origin: 'files' });
  expect(pageAddress(parts, PAGE)).not.toContain('?');
  expect(isReachable(parts, embeddedSource(PAGE))).toBe(true);
  expect(localSource([new File([], 'config.json')], 'unnamed').name).toBe('unnamed');
});
