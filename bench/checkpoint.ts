import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { huggingFaceConfig, PRESETS, type PresetName } from '../packages/core/test/config.ts';
import { generateCheckpoint } from './checkpoint-generator.ts';

/** A model to benchmark. */
export interface BenchModel {
  /** The parsed config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Returns the folder of its checkpoint, which it generates if there is none. */
  checkpoint(): Promise<string>;
}

/**
 * Finds a model: a checkpoint on disk, or a preset, whose checkpoint is generated in the user's cache folder on first
 * use.
 *
 * @throws RangeError if there is neither.
 */
export async function findModel(config: string): Promise<BenchModel> {
  if (Object.hasOwn(PRESETS, config)) {
    const preset = PRESETS[config as PresetName];
    return {
      config: JSON.parse(huggingFaceConfig(preset)),
      checkpoint: () => generateOnce(config as PresetName),
    };
  }
  const file = join(config, 'config.json');
  if (!existsSync(file)) {
    throw new RangeError(
      `--config ${config} is neither one of ${Object.keys(PRESETS).join(', ')} nor a folder with a config.json`,
    );
  }
  return {
    config: JSON.parse(await readFile(file, 'utf8')),
    checkpoint: async () => resolve(config),
  };
}

async function generateOnce(preset: PresetName): Promise<string> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folder = join(cache, 'ossicle', 'bench', preset);
  if (existsSync(folder)) return folder;
  console.error(`Generating the checkpoint ${preset} in ${folder}`);
  const partial = `${folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await generateCheckpoint(partial, PRESETS[preset]);
  await rename(partial, folder);
  return folder;
}
