/** Each operation of the model in float64 and plain loops: the oracles of the kernels. */

import type { YarnConfig } from './config.ts';

/**
 * Normalizes rows by their root mean square: y = x / sqrt(mean(x^2) + epsilon) * scale.
 *
 * @param x - [tokens, width]
 * @param scale - [width]
 */
export function rmsNorm(x: Float64Array, scale: Float64Array, epsilon: number): Float64Array {
  const width = scale.length;
  const y = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += width) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += x[row + i]! ** 2;
    const factor = 1 / Math.sqrt(sum / width + epsilon);
    for (let i = 0; i < width; i++) y[row + i] = x[row + i]! * factor * scale[i]!;
  }
  return y;
}

/**
 * Multiplies tokens by a matrix: y = W x + b.
 *
 * @param x - [tokens, columns]
 * @param weight - [rows, columns]
 * @param bias - [rows].
 * @param columns - Width of x.
 * @returns [tokens, rows]
 */
export function linear(
  x: Float64Array,
  weight: Float64Array,
  bias: Float64Array | undefined,
  columns: number,
): Float64Array {
  const tokens = x.length / columns;
  const rows = weight.length / columns;
  const y = new Float64Array(tokens * rows);
  for (let row = 0; row < rows; row++) {
    const w = weight.subarray(row * columns, (row + 1) * columns);
    for (let token = 0; token < tokens; token++) {
      y[token * rows + row] = dot(w, x, token * columns) + (bias?.[row] ?? 0);
    }
  }
  return y;
}

/** The sum of w[i] * x[offset + i] over all of w. */
function dot(w: Float64Array, x: Float64Array, offset = 0): number {
  const length = w.length;
  // Four independent sums halve the time.
  let [a, b, c, d] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < length; i += 4) {
    a += w[i]! * x[offset + i]!;
    b += w[i + 1]! * x[offset + i + 1]!;
    c += w[i + 2]! * x[offset + i + 2]!;
    d += w[i + 3]! * x[offset + i + 3]!;
  }
  for (; i < length; i++) a += w[i]! * x[offset + i]!;
  return a + b + c + d;
}

/** The rotary frequencies of a model. */
export interface RopeFrequencies {
  /** Radians per position of each pair of dimensions: [headDim / 2]. */
  readonly inverse: Float64Array;
  /** The factor of all cosines and sines. */
  readonly attentionFactor: number;
  /** The range of dimensions over which the frequencies go from unchanged to divided. */
  readonly range: readonly [low: number, high: number];
}

/** YaRN's "by parts" frequencies (Peng et al. 2023, §3.2): fast ones stay, slow ones are divided by the factor. */
export function yarnFrequencies(headDim: number, theta: number, yarn: YarnConfig): RopeFrequencies {
  const { factor, originalContext, betaFast, betaSlow, truncate } = yarn;
  const half = headDim / 2;
  // The dimension whose frequency makes this many rotations within the original context.
  const dimension = (rotations: number) =>
    (half * Math.log(originalContext / (rotations * 2 * Math.PI))) / Math.log(theta);
  const low = truncate ? Math.floor(dimension(betaFast)) : dimension(betaFast);
  const high = truncate ? Math.ceil(dimension(betaSlow)) : dimension(betaSlow);
  const inverse = Float64Array.from({ length: half }, (_, i) => {
    const unscaled = theta ** (-i / half);
    const ramp = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (unscaled / factor) * ramp + unscaled * (1 - ramp);
  });
  return { inverse, attentionFactor: 0.1 * Math.log(factor) + 1, range: [low, high] };
}

/** The cosines and sines of one position, attention factor included: [headDim / 2] each. */
export function ropeAngles(
  position: number,
  { inverse, attentionFactor }: RopeFrequencies,
): { cos: Float64Array; sin: Float64Array } {
  return {
    cos: inverse.map((frequency) => Math.cos(position * frequency) * attentionFactor),
    sin: inverse.map((frequency) => Math.sin(position * frequency) * attentionFactor),
  };
}

/**
 * Rotates heads, pairing dimension i with dimension i + headDim / 2.
 *
 * @param x - [tokens, heads * headDim]
 * @param width - heads * headDim
 * @param start - The position of the first token.
 */
export function rope(
  x: Float64Array,
  width: number,
  start: number,
  frequencies: RopeFrequencies,
): Float64Array {
  const half = frequencies.inverse.length;
  const y = new Float64Array(x.length);
  for (let token = 0; token < x.length / width; token++) {
    const { cos, sin } = ropeAngles(start + token, frequencies);
    for (let head = token * width; head < (token + 1) * width; head += 2 * half) {
      for (let i = 0; i < half; i++) {
        const a = x[head + i]!;
        const b = x[head + half + i]!;
        y[head + i] = a * cos[i]! - b * sin[i]!;
        y[head + half + i] = b * cos[i]! + a * sin[i]!;
      }
    }
  }
  return y;
}

/** The input of attention. */
export interface AttentionInput {
  /** [queries, heads * headDim]; the queries are those of the last positions. */
  readonly q: Float64Array;
  /** [keys, kvHeads * headDim], from position 0 on. */
  readonly k: Float64Array;
  /** [keys, kvHeads * headDim] */
  readonly v: Float64Array;
  /** One logit per query head: [heads]. */
  readonly sinks: Float64Array;
  /** Key/value heads; consecutive query heads share one. */
  readonly kvHeads: number;
  /** Width of a head. */
  readonly headDim: number;
  /** Keys that a query attends to, its own included; 0 for all. */
  readonly window: number;
}

/** The output of attention. */
export interface AttentionOutput {
  /** [queries, heads * headDim] */
  readonly out: Float64Array;
  /** The softmax weight that the sink takes: [queries, heads]. */
  readonly sinkMass: Float64Array;
}

/** Causal softmax attention with a learned sink per head in the denominator (after Xiao et al. 2023). */
export function attention(input: AttentionInput): AttentionOutput {
  const { q, k, v, sinks, kvHeads, headDim, window } = input;
  const heads = sinks.length;
  const kvWidth = kvHeads * headDim;
  const queries = q.length / (heads * headDim);
  const keys = k.length / kvWidth;
  const out = new Float64Array(q.length);
  const sinkMass = new Float64Array(queries * heads);
  const scores = new Float64Array(keys);
  for (let query = 0; query < queries; query++) {
    const position = keys - queries + query;
    const first = window === 0 ? 0 : Math.max(0, position - window + 1);
    for (let head = 0; head < heads; head++) {
      const at = (query * heads + head) * headDim;
      const column = Math.floor(head / (heads / kvHeads)) * headDim;
      const row = q.subarray(at, at + headDim);
      const sink = sinks[head]!;
      let largest = sink;
      for (let key = first; key <= position; key++) {
        scores[key] = dot(row, k, key * kvWidth + column) / Math.sqrt(headDim);
        largest = Math.max(largest, scores[key]!);
      }
      let sum = Math.exp(sink - largest);
      for (let key = first; key <= position; key++) sum += Math.exp(scores[key]! - largest);
      sinkMass[query * heads + head] = Math.exp(sink - largest) / sum;
      for (let key = first; key <= position; key++) {
        const weight = Math.exp(scores[key]! - largest) / sum;
        for (let i = 0; i < headDim; i++) {
          out[at + i]! += weight * v[key * kvWidth + column + i]!;
        }
      }
    }
  }
  return { out, sinkMass };
}

/**
 * The clamped SwiGLU of gpt-oss: gate * sigmoid(1.702 * gate) * (up + 1), with the gate clamped from above only and up
 * on both sides.
 *
 * @param x - [2 * width] for one token: gate i at 2i, up i at 2i + 1.
 * @returns [width]
 */
export function swiglu(x: Float64Array, limit: number): Float64Array {
  return Float64Array.from({ length: x.length / 2 }, (_, i) => {
    const gate = Math.min(x[2 * i]!, limit);
    const up = Math.min(Math.max(x[2 * i + 1]!, -limit), limit);
    return (gate / (1 + Math.exp(-1.702 * gate))) * (up + 1);
  });
}

/** The experts of one token. */
export interface Route {
  /** Expert ids, largest logit first. */
  readonly ids: readonly number[];
  /** The softmax over those experts' logits alone. */
  readonly weights: readonly number[];
}

/** Chooses the experts with the largest logits, the lower id first among equals, and weights them by softmax. */
export function route(logits: Float64Array, count: number): Route {
  const ids = Array.from(logits.keys())
    .sort((a, b) => logits[b]! - logits[a]! || a - b)
    .slice(0, count);
  return { ids, weights: [...softmax(Float64Array.from(ids, (id) => logits[id]!))] };
}

/** Probabilities of logits; -Infinity gives 0. */
function softmax(logits: Float64Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const terms = logits.map((logit) => Math.exp(logit - largest));
  const sum = terms.reduce((a, b) => a + b, 0);
  return terms.map((term) => term / sum);
}

/** How to draw a token; 0 and 1 mean the same as in the public options. */
export interface SamplingOptions {
  /** Divides the logits; 0 always draws the likeliest token, the lowest id among equals. */
  readonly temperature: number;
  /** How many of the likeliest tokens to keep; 0 for all. */
  readonly topK?: number;
  /** Probability that the kept tokens must reach together. */
  readonly topP?: number;
  /** Drops tokens less probable than this times the likeliest one. */
  readonly minP?: number;
}

/**
 * The probability of drawing each token: temperature, then top-k, then top-p over the rest (renormalized), then min-p.
 * A cut never separates equals: tokens as likely as the last one kept are kept. The token that crosses `topP` is kept.
 */
export function samplingDistribution(logits: Float64Array, options: SamplingOptions): Float64Array {
  const { temperature, topK = 0, topP = 1, minP = 0 } = options;
  if (temperature === 0) {
    const likeliest = logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
    return logits.map((_, id) => (id === likeliest ? 1 : 0));
  }
  const scaled = logits.map((logit) => logit / temperature);
  const keepFrom = (threshold: number) => {
    for (let id = 0; id < scaled.length; id++) {
      if (scaled[id]! < threshold) scaled[id] = Number.NEGATIVE_INFINITY;
    }
  };
  const descending = () => scaled.toSorted((a, b) => b - a);
  if (topK > 0 && topK < scaled.length) keepFrom(descending()[topK - 1]!);
  if (topP < 1) {
    const sorted = descending();
    const probabilities = softmax(sorted);
    let sum = 0;
    let last = 0;
    while (last < sorted.length - 1 && sum + probabilities[last]! < topP) {
      sum += probabilities[last]!;
      last++;
    }
    keepFrom(sorted[last]!);
  }
  if (minP > 0) keepFrom(descending()[0]! + Math.log(minP));
  return softmax(scaled);
}

/** What changes the logits of tokens. */
export interface LogitChanges {
  readonly repetitionPenalty?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly logitBias?: ReadonlyMap<number, number>;
  readonly prompt?: readonly number[];
  readonly answer?: readonly number[];
  /** Tokens that no penalty applies to. */
  readonly exempt?: readonly number[];
}

/** Logits after penalties and biases; those of excluded tokens are minus infinity. */
export function changedLogits(logits: Float64Array, changes: LogitChanges): Float64Array {
  const { prompt = [], answer = [], exempt = [], logitBias } = changes;
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = changes;
  return logits.map((logit, id) => {
    let y = logit;
    if (!exempt.includes(id)) {
      const count = answer.filter((token) => token === id).length;
      const hasOccurred = count > 0 || prompt.includes(id);
      if (hasOccurred) y = y > 0 ? y / repetitionPenalty : y * repetitionPenalty;
      if (count > 0) y -= presencePenalty;
      y -= count * frequencyPenalty;
    }
    const bias = logitBias?.get(id) ?? 0;
    return bias <= -100 ? Number.NEGATIVE_INFINITY : y + bias;
  });
}
