// npm run size compares the bytes of the published files and the lines of each layer with their budgets.
import { readdir, readFile } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildDemo, buildLibraries } from './build.ts';

/** Most lines of a source file, tests included. */
const FILE_LINES = 400;

/** Most source files of a folder, tests not counted; shaders lie in one list on purpose, as the table in their README. */
const FOLDER_FILES = 16;

/** Most lines of all source files of a folder, without tests and blank lines: beyond it, a folder is no room any more. */
const FOLDER_LINES = 2_200;

/**
 * Most lines of a part of the repository, without tests and blank lines, with some room for planned features. Raise one in
 * a commit of its own, with the reason.
 */
const PART_LINES: Readonly<Record<string, number>> = {
  'packages/harmony/src': 2_400,
  'packages/core/src': 20_000,
  'packages/tools/src': 2_000,
  shaders: 2_750,
  demo: 11_000,
};

/** Most gzipped bytes of an entry with the chunks it imports: the download of a page that uses all of it. */
const GZIP_BYTES: Readonly<Record<string, number>> = {
  'packages/harmony/dist/index.js': 25_000,
  'packages/core/dist/index.js': 144_000,
  'packages/core/dist/engine.js': 162_500,
  'packages/tools/dist/index.js': 18_000,
};

/** Most gzipped bytes of the chat page and all that it loads before it is shown: not the engine, which comes with a model. */
const PAGE_BYTES = 100_000;

/** Parts of the chat page that load when they are first needed, by their names in the build. */
const PAGE_PARTS: Readonly<Record<string, RegExp>> = {
  'engine, with the first model': /^src-|^load-|^ossicle-/,
  'typesetter, with the first formula': /^temml-.*js$/i,
  'highlighter, with the first code': /^common-/,
  German: /^german-/,
  Japanese: /^japanese-/,
};

/**
 * Prints the tables.
 *
 * @throws Error if anything exceeds its budget; the message names everything that does.
 */
export async function main(): Promise<void> {
  await buildLibraries();
  await buildDemo();
  const over = [...(await checkBytes()), ...(await checkPage()), ...(await checkLines())];
  if (over.length > 0) throw new Error(`\nOver budget:\n${over.join('\n')}`);
}

async function checkBytes(): Promise<string[]> {
  const over: string[] = [];
  console.log('gzip B    raw B     budget    file');
  for (const [file, budget] of Object.entries(GZIP_BYTES)) {
    let gzipBytes = 0;
    let rawBytes = 0;
    for (const chunk of await withImports(file)) {
      const bytes = await readFile(chunk);
      gzipBytes += gzipSync(bytes).length;
      rawBytes += bytes.length;
    }
    console.log(row(gzipBytes, rawBytes, budget, file));
    if (gzipBytes > budget) over.push(`${file}: ${gzipBytes} bytes gzipped, ${budget} allowed`);
  }
  return over;
}

/** The chat page: what index.html names is loaded before the page is shown. */
async function checkPage(): Promise<string[]> {
  const folder = 'demo/dist';
  const html = await readFile(`${folder}/index.html`, 'utf8');
  const named = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)].map(
    ([, name = '']) => name,
  );
  const gzipped = async (name: string): Promise<number> =>
    gzipSync(await readFile(`${folder}/${name}`)).length;
  let first = gzipSync(html).length;
  for (const name of new Set(named)) first += await gzipped(name);
  console.log(row(first, '', PAGE_BYTES, 'demo: first load'));
  const assets = await readdir(`${folder}/assets`);
  for (const [part, pattern] of Object.entries(PAGE_PARTS)) {
    let bytes = 0;
    for (const name of assets)
      if (pattern.test(name) && !named.includes(`assets/${name}`))
        bytes += await gzipped(`assets/${name}`);
    console.log(row(bytes, '', '', `demo: ${part}`));
  }
  return first > PAGE_BYTES
    ? [`demo: first load of ${first} bytes gzipped, ${PAGE_BYTES} allowed`]
    : [];
}

/** A built file and the sibling files it imports. */
async function withImports(file: string, found = new Set<string>()): Promise<Set<string>> {
  if (found.has(file)) return found;
  found.add(file);
  const text = await readFile(file, 'utf8');
  for (const [, name] of text.matchAll(/^(?:import|export)\b[^;]* from "\.\/([^"]+)";$/gm)) {
    await withImports(`${dirname(file)}/${name}`, found);
  }
  return found;
}

async function checkLines(): Promise<string[]> {
  const over: string[] = [];
  console.log('\nlines     files     budget    part');
  for (const [part, budget] of Object.entries(PART_LINES)) {
    let lines = 0;
    const folders = new Map<string, { files: number; lines: number }>();
    for (const file of await sourceFiles(part)) {
      const text = await readFile(file, 'utf8');
      const count = text.split('\n').filter((line) => line.trim() !== '').length;
      if (count > FILE_LINES) over.push(`${file}: ${count} lines, ${FILE_LINES} allowed`);
      if (file.endsWith('.test.ts')) continue;
      lines += count;
      const folder = folders.get(dirname(file)) ?? { files: 0, lines: 0 };
      folders.set(dirname(file), { files: folder.files + 1, lines: folder.lines + count });
    }
    const files = [...folders.values()].reduce((sum, folder) => sum + folder.files, 0);
    console.log(row(lines, files, budget, part));
    if (lines > budget) over.push(`${part}: ${lines} lines, ${budget} allowed`);
    for (const [folder, { files, lines }] of folders) {
      if (lines > FOLDER_LINES) over.push(`${folder}: ${lines} lines, ${FOLDER_LINES} allowed`);
      if (files <= FOLDER_FILES || part === 'shaders') continue;
      over.push(`${folder}: ${files} files, ${FOLDER_FILES} allowed`);
    }
  }
  return over;
}

function row(...cells: readonly (number | string)[]): string {
  return cells.map((cell) => String(cell).padEnd(10)).join('');
}

async function sourceFiles(folder: string): Promise<string[]> {
  const files = await readdir(folder, { recursive: true });
  return files
    .filter((file) => ['.ts', '.wgsl', '.css', '.html'].includes(extname(file)))
    .filter((file) => !/(^|[\\/])(dist|public|node_modules)[\\/]/.test(file))
    .map((file) => `${folder}/${file}`);
}
