import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fileSource } from '../packages/core/src/node/file-source.ts';
import { createCheckpoint } from '../packages/core/test/checkpoint.ts';
import { PRESETS } from '../packages/core/test/config.ts';
import { createReference } from '../packages/core/test/reference.ts';
import { readSafetensors } from '../packages/core/test/safetensors-file.ts';
import { createSyntheticValues } from '../packages/core/test/synthetic-values.ts';
import { fileReader } from '../packages/core/test/tensor-reader.ts';
import { generateCheckpoint } from './checkpoint-generator.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ossicle-checkpoint-'));
});
afterEach(() => rm(folder, { recursive: true }));

test.each(['hf', 'original'] as const)(
  'a checkpoint on disk has the bytes of the one in memory, in the %s layout',
  async (layout) => {
    const shards = { layout, seed: 11, maxShardBytes: 9e5 };
    const { files } = createCheckpoint(PRESETS.tiny, shards);
    const written = await generateCheckpoint(folder, PRESETS.tiny, shards);
    expect(written.map(({ name }) => name).sort()).toEqual(files.map(({ name }) => name).sort());
    for (const { name, sizeBytes, sha256 } of written) {
      const onDisk = await readFile(join(folder, name));
      const inMemory = await files.find((file) => file.name === name)!.arrayBuffer();
      expect(onDisk.equals(new Uint8Array(inMemory)), name).toBe(true);
      expect(onDisk.length).toBe(sizeBytes);
      expect(createHash('sha256').update(onDisk).digest('hex')).toBe(sha256);
    }
  },
);

test('any slice of a tensor that is larger than a piece has its values', async () => {
  const config = { ...PRESETS.tiny, layers: 1, vocabulary: 50_000 }; // an embedding of 9.6 MB
  await generateCheckpoint(folder, config);
  const tensors = readSafetensors(await readFile(join(folder, 'model.safetensors')));
  const values = createSyntheticValues(config);
  for (const [start, end] of [
    [0, 1],
    [21_840, 21_850],
    [49_999, 50_000],
  ] as const) {
    const slice = tensors.get('lm_head.weight')!.bytes.subarray(start * 192, end * 192);
    expect(Buffer.compare(slice, await values.read('lm_head.weight', start, end))).toBe(0);
  }
});

test('progress ends at the total', async () => {
  const seen: { writtenBytes: number; totalBytes: number }[] = [];
  const files = await generateCheckpoint(folder, PRESETS.tiny, {
    onProgress: (progress) => seen.push(progress),
  });
  const shardBytes = files
    .filter(({ name }) => name.endsWith('.safetensors'))
    .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  expect(seen.at(-1)).toEqual({ writtenBytes: shardBytes, totalBytes: shardBytes });
  expect(seen.every(({ writtenBytes }, i) => writtenBytes > (seen[i - 1]?.writtenBytes ?? 0))).toBe(
    true,
  );
});

test('the reference reads a folder without loading it', async () => {
  await generateCheckpoint(folder, PRESETS.nano, { seed: 4 });
  const reader = await fileReader(await fileSource(folder));
  const tokens = [3, 1599, 70, 70];
  const { logits } = await createReference(reader, PRESETS.nano).forward(tokens);
  const direct = createReference(createSyntheticValues(PRESETS.nano, 'hf', 4), PRESETS.nano);
  expect(logits).toEqual((await direct.forward(tokens)).logits);
});
