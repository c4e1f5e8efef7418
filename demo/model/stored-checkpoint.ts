import type { StoredModel } from 'ossicle';
import { type CheckpointSource, parseSource } from './checkpoint-source.ts';
import { loadLibrary } from './library.ts';

/** The stored models; none if storage cannot be read, which loading reports. */
async function listStored(): Promise<readonly StoredModel[]> {
  const { store } = await loadLibrary();
  return store.list().catch(() => []);
}

/** The checkpoint of a stored model, from its mirror if it has one; `undefined` if this page cannot load its id. */
export function checkpointOf({ id, origin }: StoredModel): CheckpointSource | undefined {
  if (origin === 'import') {
    const claimed = parseSource(id.replace(/^import:/, ''), location.href);
    return claimed && { source: id, name: claimed.name, origin: 'files' };
  }
  const [, source = id, mirror] = /^(.+) via (https?:\/\/\S+)$/.exec(id) ?? [];
  return parseSource(source, location.href, mirror);
}

/** What is stored of a checkpoint; `undefined` if nothing is, or if storage cannot be read. */
export async function findStored({
  source,
  mirror,
}: CheckpointSource): Promise<StoredModel | undefined> {
  const models = await listStored();
  return models.find((stored) => {
    const checkpoint = checkpointOf(stored);
    return checkpoint?.source === source && checkpoint.mirror === mirror;
  });
}

/** The most recent unfinished download, and its checkpoint. */
export async function findPartial(): Promise<
  { stored: StoredModel; checkpoint: CheckpointSource } | undefined
> {
  const models = await listStored();
  for (const stored of models) {
    const checkpoint = checkpointOf(stored);
    if (!stored.complete && checkpoint && checkpoint.origin !== 'embedded')
      return { stored, checkpoint };
  }
  return undefined;
}
