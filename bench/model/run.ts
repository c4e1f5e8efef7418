// npm run predict: writes the tables of docs/performance.md, or compares them.
import { readFile, writeFile } from 'node:fs/promises';
import { performanceTables } from './tables.ts';

const DOCUMENT = 'docs/performance.md';
const BLOCK = /(<!-- npm run predict -->\n)[\s\S]*?(<!-- end -->)/;

/**
 * Writes the tables into the document; with `--check`, only compares.
 *
 * @throws Error if the document has no place for them, or, with `--check`, others than the code's.
 */
export async function main(args: readonly string[]): Promise<void> {
  const document = await readFile(DOCUMENT, 'utf8');
  const tables = await performanceTables();
  if (!BLOCK.test(document)) throw new Error(`${DOCUMENT} has no block <!-- npm run predict -->`);
  const updated = document.replace(BLOCK, `$1\n${tables}\n\n$2`);
  if (args.includes('--check')) {
    if (updated === document) return;
    throw new Error(`The tables of ${DOCUMENT} are not those of the code: npm run predict`);
  }
  console.log(tables);
  await writeFile(DOCUMENT, updated);
}
