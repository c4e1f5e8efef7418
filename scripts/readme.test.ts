// Compiles each TypeScript block of the READMEs and of the documentation against the packages' sources.
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

const FILES = [
  'README.md',
  'packages/core/README.md',
  'packages/harmony/README.md',
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
    for (const [, text = ''] of readFileSync(file, 'utf8').matchAll(/^```ts\n(.*?)^```/gms)) {
      const name = resolve(`${file.replace('.md', '')}-${blocks.size}.ts`);
      blocks.set(name, `${text}\n${PRELUDES[file] ?? ''}\nexport {};`);
    }
  }
  expect(blocks.size).toBeGreaterThan(10);
  expect(errorsOf(blocks)).toEqual([]);
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
