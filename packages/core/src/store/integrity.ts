import { isSha256 } from '../sha256.ts';
import { claimedId } from '../sources/repo.ts';

/** The SHA-256 that files must have, in hexadecimal digits, by path. */
export type Integrity = Readonly<Record<string, string>>;

/** Hashes of published files that this library knows, by repo and revision. */
export const PUBLISHED_HASHES: Readonly<Record<string, Integrity>> = {
  'openai/gpt-oss-20b@main': {
    'config.json': '3a2a26ded679375b7928ddeca59764df7cea83220c1961035f6d6e232659e9ce',
    'model-00000-of-00002.safetensors':
      '16d0f997dcfc4462089d536bffe51b4bcea2f872f5c430be09ef8ed392312427',
    'model-00001-of-00002.safetensors':
      '4fbe328ab445455d6f58dc73852b85873bd626986310abd91cd4d2ce3245eaea',
    'model-00002-of-00002.safetensors':
      'a18106b209e9ab35c3406db4f6f12a927364a058b21e9d1373d682e20674b303',
    'model.safetensors.index.json':
      '0e085b977c4c9942f85938828e8c989ed7d5cdabf852e4da6a67c116cd502cd1',
    'original/model.safetensors':
      '3340a61d1a0391e8c5b5d3463d18d4c48129a84bbc04a554c762c99020aa06ed',
    'tokenizer.json': '0614fe83cadab421296e664e1f48f4261fa8fef6e03e63bb75c20f38e37d07d3',
  },
};

/** The known hashes of what the files under an id claim to be. Neither a mirror nor an import can change them. */
export function publishedHashes(id: string): Integrity {
  return PUBLISHED_HASHES[claimedId(id)] ?? {};
}

/**
 * Checks the option `integrity` of a load.
 *
 * @throws TypeError if a value is not a SHA-256 in hexadecimal digits, or the files will not be stored.
 */
export function checkIntegrity(integrity: Integrity | undefined, isStoring: boolean): void {
  if (!integrity) return;
  for (const [path, hash] of Object.entries(integrity)) {
    if (isSha256(hash)) continue;
    throw new TypeError(
      `integrity[${JSON.stringify(path)}] must be a SHA-256: 64 hexadecimal digits in lower case`,
    );
  }
  if (!isStoring) {
    throw new TypeError(
      'integrity is checked as files are stored: leave it out for local files and with store: false',
    );
  }
}
