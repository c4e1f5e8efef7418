// Compiles each TypeScript block of the READMEs and of the documentation against the packages' sources, and runs that of
// @ossicle/harmony. packages/core/test/package.e2e.test.ts runs those of ossicle. Looks for the files that they name.
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import ts from 'typescript';
import { expect, test, vi } from 'vitest';
import * as harmony from '../packages/harmony/src/index.ts';
import { readBlocks } from './readme-blocks.ts';

const FILES = [
  'README.md',
  'packages/core/README.md',
  'packages/harmony/README.md',
  'packages/tools/README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** What examples leave to the reader, by file. */
const PRELUDES: Readonly<Record<string, string>> = {
  'packages/harmony/README.md':
    'declare function generate(prompt: readonly number[], options: { stop: readonly number[] }): AsyncIterable<number>;',
};

test('every TypeScript block of the documentation compiles', () => {
  const blocks = new Map<string, string>();
  for (const file of FILES) {
    for (const text of readBlocks(file)) {
      const name = resolve(`${file.replace('.md', '')}-${blocks.size}.ts`);
      blocks.set(name, `${text}\n${PRELUDES[file] ?? ''}\nexport {};`);
    }
  }
  expect(blocks.size).toBeGreaterThan(10);
  expect(errorsOf(blocks)).toEqual([]);
}, 300_000); // checks the types of all sources

test('every source file that the documentation names exists', () => {
  const files = ['bench', 'demo', 'packages', 'scripts', 'shaders'].flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((path) => `/${folder}/${path}`),
  );
  const named = ['CONTRIBUTING.md', ...FILES].flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/`(\w[\w./-]*\.(?:ts|wgsl|mjs))`/g)].map(
      ([, path]) => path,
    ),
  );
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((path) => !files.some((each) => each.endsWith(`/${path}`)))).toEqual([]);
});

test('the example of @ossicle/harmony reads a call from the tokens of a model', async () => {
  const json = JSON.parse(await readFile('demo/public/models/gpt-oss-nano/tokenizer.json', 'utf8'));
  const tokenizer = harmony.createTokenizer(json);
  const control = (name: string): number => tokenizer.tokenId(`<|${name}|>`) as number;
  const output = [
    control('channel'),
    ...tokenizer.encode('commentary to=functions.get_weather '),
    control('constrain'),
    ...tokenizer.encode('json'),
    control('message'),
    ...tokenizer.encode('{"city":"Rome"}'),
    control('call'),
  ];
  const prompts: number[][] = [];
  const context = {
    harmony,
    fetch: async () => Response.json(json),
    async *generate(prompt: number[], { stop }: { stop: number[] }) {
      expect(stop).toContain(output.at(-1));
      prompts.push(prompt);
      yield* output;
    },
    console: { log: vi.fn() },
  };
  const [block = ''] = readBlocks('packages/harmony/README.md');
  const code = ts
    .transpile(block, { target: ts.ScriptTarget.ESNext })
    .replace(/import (\{.*?\}) from '@ossicle\/harmony';/s, 'const $1 = harmony;');
  const run = Object.getPrototypeOf(async () => undefined).constructor(
    ...Object.keys(context),
    code,
  );
  await run(...Object.values(context));
  expect(prompts).toHaveLength(1);
  expect(context.console.log.mock.calls).toEqual([['get_weather', { city: 'Rome' }]]);
});

/** Compiles files that are in memory only. */
function errorsOf(files: ReadonlyMap<string, string>): string[] {
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(
    { ...config, include: [], files: [] },
    ts.sys,
    resolve('.'),
  );
  const all = { ...options, noUnusedLocals: false, isolatedDeclarations: false };
  const host = ts.createCompilerHost(all);
  const { readFile, fileExists } = host;
  host.readFile = (path) => files.get(path) ?? readFile(path);
  host.fileExists = (path) => files.has(path) || fileExists(path);
  const { getSourceFile } = host;
  host.getSourceFile = (path, version, ...rest) => {
    const text = files.get(path);
    return text === undefined
      ? getSourceFile(path, version, ...rest)
      : ts.createSourceFile(path, text, version);
  };
  const program = ts.createProgram([...files.keys()], all, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    const message = ts.flattenDiagnosticMessageText(messageText, '\n');
    return `${file && `${file.fileName}: ${file.text.slice(0, 60)}`}: ${message}`;
  });
}
