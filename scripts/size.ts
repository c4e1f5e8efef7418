// npm run size compares the bytes of the published files and the lines of each layer with their budgets.
import { readdir, readFile } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildLibraries } from './build.ts';

/** Most lines of a source file, tests included. */
const FILE_LINES = 400;

/** Most lines of a layer, without tests and blank lines. Raise one in a commit of its own, with the reason. */
const LAYER_LINES: Readonly<Record<string, number>> = {
  'packages/harmony/src': 2_000,
  'packages/core/src/gpu': 900,
  'packages/core/src/kernels': 1_500,
  'packages/core/src/model': 1_200,
  'packages/core/src/weights': 5_200,
  'packages/core/src/engine': 2_400,
  'packages/core/src/worker': 500,
  shaders: 2_000,
  demo: 5_200,
};

/** Most gzipped bytes of an entry with the chunks it imports: the download of a page that uses all of it. */
const GZIP_BYTES: Readonly<Record<string, number>> = {
  'packages/harmony/dist/index.js': 25_000,
  'packages/core/dist/index.js': 95_000,
  'packages/core/dist/engine.js': 100_000,
};

/**
 * Prints the tables.
 *
 * @throws Error if anything exceeds its budget; the message names everything that does.
 */
export async function main(): Promise<void> {
  await buildLibraries();
  const over = [...(await checkBytes()), ...(await checkLines())];
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
  console.log('\nlines     files     budget    layer');
  for (const [folder, budget] of Object.entries(LAYER_LINES)) {
    let lines = 0;
    let files = 0;
    for (const file of await sourceFiles(folder)) {
      const text = await readFile(file, 'utf8');
      const count = text.split('\n').filter((line) => line.trim() !== '').length;
      if (count > FILE_LINES) over.push(`${file}: ${count} lines, ${FILE_LINES} allowed`);
      if (file.endsWith('.test.ts')) continue;
      lines += count;
      files++;
    }
    console.log(row(lines, files, budget, folder));
    if (lines > budget) over.push(`${folder}: ${lines} lines, ${budget} allowed`);
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
