import { type StoredModel, store } from 'ossicle';
import { type CheckpointSource, parseSource } from './checkpoint-source.ts';
import { openedFor } from './connection-policy.ts';

/**
 * The checkpoint of a stored model, from the mirror that the page was opened for, if any; `undefined` where its id is none
 * that this page can ask for.
 */
export function checkpointOf({ id }: StoredModel): CheckpointSource | undefined {
  return parseSource(id, location.href, openedFor.mirror);
}

/** What is stored of a checkpoint; `undefined` where nothing is, or where the browser keeps nothing. */
export async function findStored({ source }: CheckpointSource): Promise<StoredModel | undefined> {
  const models = await store.list().catch(() => []); // loading will say so
  return models.find((stored) => checkpointOf(stored)?.source === source);
}

/** The download that was last begun and is not whole, with what it would load. */
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
