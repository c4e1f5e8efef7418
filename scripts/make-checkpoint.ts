import { parseArgs } from 'node:util';
import { generateCheckpoint } from '../bench/checkpoint-generator.ts';
import { PRESETS, type PresetName } from '../packages/core/test/config.ts';
import type { Layout } from '../packages/core/test/tensor-table.ts';

const USAGE = `Writes a synthetic checkpoint in a published layout.

  npm run make-checkpoint -- <preset> <folder> [--layout hf|original] [--seed 1] [--shard-bytes n]

  presets: ${Object.keys(PRESETS).join(', ')}`;

/** Writes a checkpoint of a preset into a folder and prints each file's size and SHA-256. */
export async function main(args: readonly string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      layout: { type: 'string', default: 'hf' },
      seed: { type: 'string', default: '1' },
      'shard-bytes': { type: 'string' },
    },
  });
  const [preset, folder] = positionals;
  const isKnown = preset !== undefined && Object.hasOwn(PRESETS, preset);
  if (!isKnown || folder === undefined || !['hf', 'original'].includes(values.layout)) {
    throw new TypeError(USAGE);
  }
  const shardBytes = values['shard-bytes'];
  const begin = performance.now();
  const files = await generateCheckpoint(folder, PRESETS[preset as PresetName], {
    layout: values.layout as Layout,
    seed: Number(values.seed),
    ...(shardBytes !== undefined && { maxShardBytes: Number(shardBytes) }),
    onProgress: progressLine(),
  });
  const seconds = (performance.now() - begin) / 1000;
  for (const { name, sizeBytes, sha256 } of files) console.log(`${sha256}  ${sizeBytes}  ${name}`);
  const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const speed = Math.round(total / seconds / 1e6);
  console.error(`${total} bytes in ${seconds.toFixed(1)} s, ${speed} MB/s`);
}

/** Shows whole percentages on a terminal. */
function progressLine(): (progress: { writtenBytes: number; totalBytes: number }) => void {
  let shown = -1;
  return ({ writtenBytes, totalBytes }) => {
    const percent = Math.floor((100 * writtenBytes) / totalBytes);
    if (percent === shown || !process.stderr.isTTY) return;
    shown = percent;
    process.stderr.write(`\r${percent} %${percent === 100 ? '\n' : ''}`);
  };
}
