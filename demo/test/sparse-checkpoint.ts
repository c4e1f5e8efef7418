import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, huggingFaceConfig } from '../../packages/core/test/config.ts';
import { safetensorsHeader, tensorBytes } from '../../packages/core/test/safetensors-file.ts';
import { shardIndex, shardTensors, tensorTable } from '../../packages/core/test/tensor-table.ts';

/** Writes a checkpoint in the published layout whose weights are holes in sparse files: any size on almost no disk. */
export async function writeSparseCheckpoint(folder: string, config: Config): Promise<void> {
  await mkdir(folder, { recursive: true });
  const table = tensorTable(config, 'hf');
  const shards = shardTensors(table, 'hf');
  await writeFile(join(folder, 'config.json'), huggingFaceConfig(config));
  if (shards.length > 1)
    await writeFile(join(folder, 'model.safetensors.index.json'), shardIndex(table, shards));
  for (const { name, tensors } of shards) {
    const header = safetensorsHeader(tensors);
    const file = await open(join(folder, name), 'w');
    await file.write(header);
    await file.truncate(tensors.reduce((size, spec) => size + tensorBytes(spec), header.length));
    await file.close();
  }
}
