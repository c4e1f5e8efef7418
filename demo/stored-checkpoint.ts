import { type StoredModel, store } from 'ossicle';
import { type CheckpointSource, parseSource } from './checkpoint-source.ts';
import { openedFor } from './connection-policy.ts';

/**
 * The checkpoint of a stored model, from the mirror the page was opened for, if any; `undefined` if this page cannot
 * load its id.
 */
export function checkpointOf({ id }: StoredModel): CheckpointSource | undefined {
  return parseSource(id, location.href, openedFor.mirror);
}

/** What is stored of a checkpoint; `undefined` if nothing is, or if storage cannot be read. */
export async function findStored({ source }: CheckpointSource): Promise<StoredModel | undefined> {
  const models = await store.list().catch(() => []); // loading reports it
  return models.find((stored) => checkpointOf(stored)?.source === source);
}

/** The most recent unfinished download, and its checkpoint. */
export async function findPartial(): Promise<
  { stored: StoredModel; checkpoint: CheckpointSource } | undefined
> {
  const models = await store.list().catch(() => []);
  for (const stored of models) {
    const checkpoint = checkpointOf(stored);
    if (!stored.complete && checkpoint && checkpoint.origin !== 'embedded')
      return { stored, checkpoint };
  }
  return undefined;
}
