import { texts } from '../language/texts.ts';
import type { CheckpointSource } from './checkpoint-source.ts';

/** Where the bytes of a checkpoint come from, as it stands after "from" in the language of the page. */
export function hostName({ host, origin }: Pick<CheckpointSource, 'host' | 'origin'>): string {
  return host ?? (origin === 'files' ? texts.model.thisComputer : texts.model.thisPage);
}
