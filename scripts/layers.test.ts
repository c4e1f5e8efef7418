// Holds every import against the table of layers in docs/architecture.md; Biome's noImportCycles looks after single files.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

const CORE = 'packages/core/src';

/** Where the rooms lie that are not folders of the core. */
const PLACES: Readonly<Record<string, string>> = {
  harmony: 'packages/harmony/src',
  tools: 'packages/tools/src',
  demo: 'demo',
};

/** Room → the rooms and npm packages that it may import. */
const layers = new Map(readTable().map(([room = '', ...allowed]) => [room, allowed]));

const files = [CORE, ...Object.values(PLACES)].flatMap(sourceFiles);

test('every import goes to a room that the table allows, and every room allowed is used', () => {
  const imports = new Map<string, Set<string>>();
  for (const file of files) {
    const room = roomOf(file);
    const found = imports.get(room) ?? new Set();
    for (const to of importsOf(file)) if (to !== room) found.add(to);
    imports.set(room, found);
  }
  const sorted = (rooms: Iterable<string>): string => [...rooms].sort().join(' ');
  const actual = [...imports].map(([room, found]) => `${room}: ${sorted(found)}`);
  const table = [...layers].map(([room, allowed]) => `${room}: ${sorted(allowed)}`);
  expect(actual.sort()).toEqual(table.sort());
});

test('a room imports only rooms that stand above it in the table', () => {
  const above = new Set<string>();
  for (const [room, allowed] of layers) {
    for (const to of allowed.filter((name) => layers.has(name))) {
      expect(above, `rooms above ${room}`).toContain(to);
    }
    above.add(room);
  }
});

test('only store/ touches the storage of the navigator, and only gpu/device.ts the rest of it', () => {
  const users = files
    .filter((file) => file.startsWith(CORE) && /\bnavigator\b|\bgetDirectory\b/.test(codeOf(file)))
    .filter((file) => roomOf(file) !== 'store');
  expect(users).toEqual([`${CORE}/gpu/device.ts`]);
  expect(codeOf(`${CORE}/gpu/device.ts`)).not.toMatch(/\.storage\b|[{,] *storage\b/);
});

/** The rows of the block fenced as `layers`, each cut into words. */
function readTable(): string[][] {
  const text = readFileSync('docs/architecture.md', 'utf8');
  const [, table = ''] = /```layers\n(.*?)```/s.exec(text) ?? [];
  return table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .filter(
      (path) => path.endsWith('.ts') && !/\.test\.ts$|\/(dist|test)\/|vite-plugin/.test(path),
    );
}

/** `engine/load` of `engine/load/plan.ts`, `index` and `engine/index` of entry points, `base` of other files at the root. */
function roomOf(file: string): string {
  const place = Object.entries(PLACES).find(([, folder]) => file.startsWith(`${folder}/`));
  if (place) return place[0];
  const path = relative(CORE, file);
  if (/(^|\/)index\.ts$/.test(path)) return path.replace('.ts', '');
  return path.includes('/') ? dirname(path) : 'base';
}

/** The rooms and npm packages that a file imports. */
function importsOf(file: string): string[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(file, 'utf8'));
  return importedFiles
    .map(({ fileName }) => fileName.replace(/\?.*/, ''))
    .filter((specifier) => !/\.(wgsl|css|html|py)$/.test(specifier))
    .map((specifier) => {
      if (specifier.startsWith('.'))
        return roomOf(relative('.', resolve(dirname(file), specifier)));
      return specifier.replace('@ossicle/', '');
    });
}

function codeOf(file: string): string {
  return readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '');
}
