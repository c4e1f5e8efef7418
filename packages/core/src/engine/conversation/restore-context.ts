import { isOssicleError } from '../../errors.ts';
import type { Runtime } from '../../model/runtime.ts';
import { Context } from './context.ts';
import { identityOf } from './identity.ts';
import { readParts, type SavedDetails } from './saved-conversation.ts';

/**
 * Makes a context of a saved conversation. It has the keys and values if they are of this model, intact, and find memory;
 * otherwise, it has the tokens if this model can evaluate them.
 *
 * @throws {@link OssicleError} `device-lost`, `out-of-memory` if not even an empty context finds memory.
 */
export async function restoreContext(
  runtime: Runtime,
  saved: Blob,
  details: SavedDetails,
): Promise<Context> {
  const { state } = details;
  const { contextLength, vocabularySize } = runtime.shape;
  const fits =
    state.tokens.length <= contextLength && state.tokens.every((token) => token < vocabularySize);
  if (!fits) return new Context(runtime);
  let context: Context | undefined;
  try {
    if (details.identity === (await identityOf(runtime))) {
      context = new Context(runtime, state);
      await context.allocated();
      if (await readParts(runtime.gpu, saved, details, context.parts(state))) return context;
    }
  } catch (error) {
    if (!isOssicleError(error) || error.code !== 'out-of-memory') {
      context?.dispose();
      throw error;
    }
  }
  context?.dispose();
  return contextOf(runtime, state.tokens);
}

/** A context that has tokens, but has not evaluated them. */
export function contextOf(runtime: Runtime, tokens: readonly number[]): Context {
  return new Context(runtime, { tokens, evaluated: 0, ringStart: 0, ringEnd: 0, snapshots: [] });
}
