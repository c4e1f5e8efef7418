import { readFileSync } from 'node:fs';

/** The TypeScript blocks of a Markdown file, in order. */
export function readBlocks(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^```ts\n(.*?)^```/gms)].map(
    ([, text = '']) => text,
  );
}
