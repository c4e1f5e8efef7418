import { describe, expect, test } from 'vitest';
import { PRESETS } from './config.ts';
import { readGoldenJson } from './golden.ts';
import {
  decodeMxfp4,
  fromBf16,
  fromF16,
  quantizeInt8,
  roundToF16,
  toBf16,
  toF16,
} from './number-formats.ts';
import {
  attention,
  changedLogits,
  linear,
  rmsNorm,
  rope,
  ropeAngles,
  route,
  samplingDistribution,
  swiglu,
  yarnFrequencies,
} from './oracles.ts';
import { createRandom } from './random.ts';

interface Mxfp4Vectors {
  readonly vectors: readonly {
    readonly scale_byte: number;
    readonly exact: readonly (number | string)[];
  }[];
  readonly matrix_4x64: {
    readonly hf_blocks: readonly (readonly (readonly number[])[])[];
    readonly hf_scales: readonly (readonly number[])[];
    readonly expected: readonly (readonly number[])[];
  };
}

interface YarnVectors {
  readonly attention_factor: number;
  readonly correction_range: { readonly low: number; readonly high: number };
  readonly inv_freq_f64: readonly number[];
  readonly rounded_range_variant: { readonly inv_freq_f64: readonly number[] };
  readonly positions: readonly {
    readonly position: number;
    readonly cos_f64: readonly number[];
    readonly sin_f64: readonly number[];
  }[];
}

interface Vectors {
  readonly swiglu_gate_up_expected: readonly (readonly [number, number, number])[];
  readonly mxfp4: {
    readonly hf_block_hex: string;
    readonly scale_byte: number;
    readonly elements: readonly number[];
  };
  readonly sink_softmax: {
    readonly scores: readonly number[];
    readonly sink: number;
    readonly weights: readonly number[];
  };
  readonly router: {
    readonly logits: readonly number[];
    readonly top4: readonly number[];
    readonly weights: readonly number[];
  };
}

const vectors = await readGoldenJson<Vectors>('gpt-oss-vectors.json');
const { headDim, ropeTheta, yarn } = PRESETS['20b'];

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs(actual[i]! - expected[i]!), `[${i}]`).toBeLessThanOrEqual(tolerance);
  }
}

describe('MXFP4', async () => {
  const golden = await readGoldenJson<Mxfp4Vectors>('mxfp4.json');

  test('decodes every code at every golden scale byte exactly', () => {
    const blocks = Uint8Array.from(
      { length: 16 },
      (_, j) => (j % 8) * 2 + (((j % 8) * 2 + 1) << 4),
    );
    const finite = golden.vectors.filter(({ scale_byte }) => scale_byte < 255);
    expect(finite.length).toBe(11);
    for (const { scale_byte, exact } of finite) {
      const values = decodeMxfp4(blocks, Uint8Array.of(scale_byte));
      exact.forEach((value, code) => {
        expect(values[code]! + 0, `${code} at ${scale_byte}`).toBe(Number(value) + 0);
        expect(values[16 + code]).toBe(values[code]);
      });
    }
  });

  test('decodes the golden matrix exactly', () => {
    const { hf_blocks, hf_scales, expected } = golden.matrix_4x64;
    const values = decodeMxfp4(
      Uint8Array.from(hf_blocks.flat(2)),
      Uint8Array.from(hf_scales.flat()),
    );
    expectClose(values, expected.flat(), 0);
  });

  test('decodes the block of the specification to its elements', () => {
    const { hf_block_hex, scale_byte, elements } = vectors.mxfp4;
    const bytes = Uint8Array.from(hf_block_hex.match(/../g)!, (hex) => Number.parseInt(hex, 16));
    expectClose(decodeMxfp4(bytes, Uint8Array.of(scale_byte)), elements, 0);
  });
});

describe('YaRN', async () => {
  const golden = await readGoldenJson<YarnVectors>('yarn.json');
  const frequencies = yarnFrequencies(headDim, ropeTheta, yarn);

  test('has the frequencies, range and attention factor of the published configuration', () => {
    expectClose(frequencies.inverse, golden.inv_freq_f64, 1e-15);
    expect(frequencies.attentionFactor).toBeCloseTo(golden.attention_factor, 14);
    expect(frequencies.range[0]).toBeCloseTo(golden.correction_range.low, 12);
    expect(frequencies.range[1]).toBeCloseTo(golden.correction_range.high, 12);
  });

  test('has the known wrong table with a truncated range', () => {
    const rounded = yarnFrequencies(headDim, ropeTheta, { ...yarn, truncate: true });
    expectClose(rounded.inverse, golden.rounded_range_variant.inv_freq_f64, 1e-15);
    expect(rounded.inverse[17]! / frequencies.inverse[17]!).toBeGreaterThan(1.5);
  });

  test('has the golden cosines and sines at every golden position', () => {
    expect(golden.positions.map(({ position }) => position)).toContain(131071);
    for (const { position, cos_f64, sin_f64 } of golden.positions) {
      const { cos, sin } = ropeAngles(position, frequencies);
      expectClose(cos, cos_f64, 1e-10);
      expectClose(sin, sin_f64, 1e-10);
    }
  });

  test('keeps the dot product of two positions at a fixed distance', () => {
    const random = createRandom(3);
    const q = Float64Array.from({ length: 64 }, random.normal);
    const k = Float64Array.from({ length: 64 }, random.normal);
    const score = (position: number, distance: number) => {
      const a = rope(q, 64, position + distance, frequencies);
      const b = rope(k, 64, position, frequencies);
      return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    };
    expect(score(5, 17)).toBeCloseTo(score(100_000, 17), 8);
    expect(Math.abs(score(5, 17) - score(5, 18))).toBeGreaterThan(1e-3);
  });
});

describe('of the operations,', () => {
  test('SwiGLU computes the recorded values, clamped gates and ups included', () => {
    for (const [gate, up, expected] of vectors.swiglu_gate_up_expected) {
      expect(swiglu(Float64Array.of(gate, up), 7)[0]).toBeCloseTo(expected, 13);
    }
  });

  test('the router chooses the lower id first among equals', () => {
    const { logits, top4, weights } = vectors.router;
    const routed = route(Float64Array.from(logits), 4);
    expect(routed.ids).toEqual(top4);
    expectClose(routed.weights, weights, 1e-15);
  });

  test('attention weights values by a softmax with the sink in its denominator', () => {
    const { scores, sink, weights } = vectors.sink_softmax;
    // In one dimension, a query of 1 makes the keys the scores; each value picks out one weight.
    for (const [picked, weight] of weights.entries()) {
      const { out, sinkMass } = attention({
        q: Float64Array.of(1),
        k: Float64Array.from(scores),
        v: Float64Array.from(scores, (_, i) => (i === picked ? 1 : 0)),
        sinks: Float64Array.of(sink),
        kvHeads: 1,
        headDim: 1,
        window: 0,
      });
      expect(out[0]).toBeCloseTo(weight, 15);
      expect(sinkMass[0]).toBeCloseTo(1 - weights.reduce((a, b) => a + b), 14);
    }
  });

  test('attention is causal, and its window includes the query itself', () => {
    const seen = (window: number) => {
      const { out } = attention({
        q: new Float64Array(5),
        k: new Float64Array(5),
        v: Float64Array.of(1, 10, 100, 1000, 10_000),
        sinks: Float64Array.of(Number.NEGATIVE_INFINITY),
        kvHeads: 1,
        headDim: 1,
        window,
      });
      return [...out];
    };
    expect(seen(2)).toEqual([1, 5.5, 55, 550, 5500]);
    expectClose(seen(0), [1, 5.5, 37, 1111 / 4, 11_111 / 5], 1e-11);
  });

  test('RMSNorm and the matrix product compute their formulas', () => {
    const y = rmsNorm(Float64Array.of(3, 4, 0, 0), Float64Array.of(1, 2), 0.5);
    expectClose(y, [3 / Math.sqrt(13), 8 / Math.sqrt(13), 0, 0], 1e-15);
    const product = linear(
      Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
      Float64Array.of(1, 0, 0, 0, 1, 0, 1, 0, 0, 0),
      Float64Array.of(100, 200),
      5,
    );
    expect([...product]).toEqual([106, 202, 116, 207]);
  });
});

describe('number formats', () => {
  test('keep the bits of every float16 and bfloat16', () => {
    for (let bits = 0; bits < 65536; bits++) {
      if (!Number.isNaN(fromF16(bits))) expect(toF16(fromF16(bits))).toBe(bits);
      if (!Number.isNaN(fromBf16(bits))) expect(toBf16(fromBf16(bits))).toBe(bits);
    }
  });

  test('round to the nearest number, ties to even, and overflow to infinity', () => {
    expect(roundToF16(1 + 2 ** -11)).toBe(1);
    expect(roundToF16(1 + 3 * 2 ** -11)).toBe(1 + 2 ** -9);
    expect(roundToF16(1 + 2 ** -11 + 2 ** -40)).toBe(1 + 2 ** -10);
    expect(roundToF16(65519.99)).toBe(65504);
    expect(roundToF16(-65520)).toBe(Number.NEGATIVE_INFINITY);
    expect(roundToF16(2 ** -25)).toBe(0);
    expect(roundToF16(3 * 2 ** -25)).toBe(2 ** -23);
    expect(fromBf16(toBf16(1 + 2 ** -8))).toBe(1);
    expect(fromBf16(toBf16(1 + 3 * 2 ** -8))).toBe(1 + 2 ** -6);
  });

  test('include 8-bit groups with a float16 scale, which round ties away from zero and err by half a step at most', () => {
    const x = new Float64Array(96);
    x.set([127, 0.5, -0.5, 63.5, -63.5, 0.499, 126.49]);
    const random = createRandom(9);
    for (let i = 64; i < 96; i++) x[i] = random.normal();
    const { q, scales, values } = quantizeInt8(x);
    expect([...q.subarray(0, 7)]).toEqual([127, 1, -1, 64, -64, 0, 126]);
    expect(scales[0]).toBe(1);
    expect([...q.subarray(32, 64), scales[1]]).toEqual(new Array(33).fill(0));
    const largest = x.subarray(64).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    expect(scales[2]).toBe(roundToF16(largest / 127));
    for (let i = 64; i < 96; i++) {
      expect(Math.abs(values[i]! - x[i]!)).toBeLessThan((largest / 127) * 0.57);
    }
    expect(() => quantizeInt8(new Float64Array(33))).toThrow(RangeError);
  });
});

describe('the sampling distribution', () => {
  const logits = Float64Array.from([0.4, 0.3, 0.15, 0.15], Math.log);
  const draw = (options: Partial<Parameters<typeof samplingDistribution>[1]>) =>
    samplingDistribution(logits, { temperature: 1, ...options });

  test('divides logits by the temperature, and is all on the first of the likeliest tokens at 0', () => {
    expectClose(draw({}), [0.4, 0.3, 0.15, 0.15], 1e-15);
    const squares = [0.16, 0.09, 0.0225, 0.0225].map((p) => p / 0.295);
    expectClose(draw({ temperature: 0.5 }), squares, 1e-15);
    const equals = Float64Array.of(1, 5, 5, 2);
    expect([...samplingDistribution(equals, { temperature: 0 })]).toEqual([0, 1, 0, 0]);
  });

  test('keeps the k likeliest and their equals', () => {
    expectClose(draw({ topK: 2 }), [4 / 7, 3 / 7, 0, 0], 1e-15);
    expectClose(draw({ topK: 3 }), [0.4, 0.3, 0.15, 0.15], 1e-15);
  });

  test('keeps tokens up to the one that crosses top-p, among those that top-k keeps', () => {
    expectClose(draw({ topP: 0.39 }), [1, 0, 0, 0], 1e-15);
    expectClose(draw({ topP: 0.41 }), [4 / 7, 3 / 7, 0, 0], 1e-15);
    expectClose(draw({ topP: 0.56, topK: 2 }), [1, 0, 0, 0], 1e-15);
    expectClose(draw({ topP: 0.71 }), [0.4, 0.3, 0.15, 0.15], 1e-15);
  });

  test('drops tokens less probable than min-p times the likeliest one', () => {
    expectClose(draw({ minP: 0.5 }), [4 / 7, 3 / 7, 0, 0], 1e-15);
    expectClose(draw({ minP: 0.3 }), [0.4, 0.3, 0.15, 0.15], 1e-15);
  });

  test('counts each token once for the repetition penalty', () => {
    const y = changedLogits(Float64Array.of(2, -2, 2), { prompt: [0, 1, 0], repetitionPenalty: 2 });
    expect([...y]).toEqual([1, -4, 2]);
  });
});
