import type { TokenLogprob, TokenLogprobs } from '../types/generate.ts';

/**
 * Computes the log probabilities of a token and of the likeliest tokens from raw logits: ln softmax, in float64.
 *
 * @param count - How many of the likeliest tokens to list.
 * @param decode - Returns the text of one token.
 */
export function tokenLogprobs(
  logits: Float32Array,
  token: number,
  count: number,
  decode: (id: number) => string,
): TokenLogprobs {
  let largest = -Infinity;
  for (const logit of logits) largest = Math.max(largest, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  const logSum = Math.log(sum);
  const entry = (id: number): TokenLogprob => ({
    id,
    text: decode(id),
    logprob: (logits[id] as number) - largest - logSum,
  });
  return { ...entry(token), top: likeliest(logits, count).map(entry) };
}

/** The ids of the largest logits, largest first; the lowest id first among equals. */
function likeliest(logits: Float32Array, count: number): number[] {
  const ids: number[] = [];
  logits.forEach((logit, id) => {
    if (ids.length === count && !(logit > (logits[ids.at(-1) as number] as number))) return;
    const at = ids.findIndex((other) => logit > (logits[other] as number));
    ids.splice(at < 0 ? ids.length : at, 0, id);
    if (ids.length > count) ids.pop();
  });
  return ids;
}
