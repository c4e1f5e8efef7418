import type { Config } from '../../packages/core/test/config.ts';
import {
  type OnnxNode,
  type OnnxTensor,
  type OnnxType,
  onnxTypeNumber,
  writeOnnx,
} from './onnx.ts';

/** Positions that the rotary tables reach. */
const POSITIONS = 4096;

const MICROSOFT = 'com.microsoft';

/**
 * Writes gpt-oss as transformers.js loads it: the operators of onnx-community/gpt-oss-20b-ONNX (GroupQueryAttention with
 * sinks and a local window, QMoE with 4 bits in blocks of 32), activations in f32, random weights.
 */
export function writeOnnxModel(config: Config): readonly Uint8Array[] {
  const builder = new GraphBuilder();
  const { hidden, heads, kvHeads, headDim, intermediate, experts, vocabulary, layers } = config;
  const cache = (time: string): (string | number)[] => ['batch_size', kvHeads, time, headDim];
  const caches = Array.from({ length: layers }, (_, i) => i).flatMap((i) =>
    ['key', 'value'].map((what) => ({ i, what })),
  );
  const node = builder.node.bind(builder);

  node('Gather', [builder.random('embed', [vocabulary, hidden]), 'input_ids'], ['x']);
  node('ReduceSum', ['attention_mask', builder.integers('axis', [1], [1])], ['mask_sum'], {
    keepdims: 1,
  });
  node('Sub', ['mask_sum', builder.integers('one', [1], [1])], ['last']);
  node('Cast', ['last'], ['seqlens_k'], { to: onnxTypeNumber('i32') });
  node('Shape', ['attention_mask'], ['mask_shape']);
  node('Gather', ['mask_shape', builder.integers('axis_1', [], [1])], ['total_64'], { axis: 0 });
  node('Cast', ['total_64'], ['total'], { to: onnxTypeNumber('i32') });
  const angle = (i: number): number => {
    const pair = i % (headDim / 2);
    return Math.floor(i / (headDim / 2)) * config.ropeTheta ** ((-2 * pair) / headDim);
  };
  const table = [POSITIONS, headDim / 2];
  builder.floats('cos', table, (i) => Math.cos(angle(i)));
  builder.floats('sin', table, (i) => Math.sin(angle(i)));

  const norm = (x: string, name: string): string => {
    const scale = builder.floats(`${name}.scale`, [hidden], () => 1);
    node('SimplifiedLayerNormalization', [x, scale], [name], {
      axis: -1,
      epsilon: config.epsilon,
      stash_type: 1,
    });
    return name;
  };
  const linear = (x: string, name: string, rows: number, columns: number): string => {
    node('MatMul', [x, builder.random(`${name}.weight`, [columns, rows])], [`${name}.product`]);
    node('Add', [`${name}.product`, builder.random(`${name}.bias`, [rows])], [name]);
    return name;
  };
  let x = 'x';
  const add = (y: string, name: string): void => {
    node('Add', [x, y], [name]);
    x = name;
  };
  for (let i = 0; i < layers; i++) {
    const layer = (name: string): string => `layer${i}.${name}`;
    const h = norm(x, layer('attention_norm'));
    const past = (what: string): string => `past_key_values.${i}.${what}`;
    const present = (what: string): string => `present.${i}.${what}`;
    const operands = [
      linear(h, layer('q'), heads * headDim, hidden),
      linear(h, layer('k'), kvHeads * headDim, hidden),
      linear(h, layer('v'), kvHeads * headDim, hidden),
      ...[past('key'), past('value'), 'seqlens_k', 'total', 'cos', 'sin', '', ''],
      builder.random(layer('sinks'), [heads]),
    ];
    const results = [layer('attended'), present('key'), present('value')];
    const attention = {
      num_heads: heads,
      kv_num_heads: kvHeads,
      do_rotary: 1,
      local_window_size: i % 2 === 0 ? config.window : -1,
    };
    node('GroupQueryAttention', operands, results, attention, MICROSOFT);
    add(linear(layer('attended'), layer('out'), hidden, heads * headDim), layer('x1'));
    const h2 = norm(x, layer('mlp_norm'));
    const shape = builder.integers(layer('router_shape'), [2], [-1, experts]);
    node('Reshape', [linear(h2, layer('router'), experts, hidden), shape], [layer('routed')]);
    const matrix = (name: string, rows: number, columns: number): string[] => [
      builder.bytes(layer(`${name}.blocks`), [experts, rows, columns / 2]),
      builder.floats(layer(`${name}.scales`), [experts, rows, columns / 32], () => 0.005),
      builder.random(layer(`${name}.bias`), [experts, rows]),
    ];
    const moe = [
      ...[h2, layer('routed')],
      ...matrix('mlp1', 2 * intermediate, hidden),
      ...matrix('mlp2', hidden, intermediate),
    ];
    const attributes = {
      k: config.expertsPerToken,
      activation_type: 'swiglu',
      activation_alpha: 1.702,
      activation_beta: 1,
      swiglu_limit: config.swigluLimit,
      swiglu_fusion: 1,
      expert_weight_bits: 4,
      block_size: 32,
      normalize_routing_weights: 1,
    };
    node('QMoE', moe, [layer('mlp')], attributes, MICROSOFT, ['activation_beta', 'swiglu_limit']);
    add(layer('mlp'), layer('x2'));
  }
  const head = builder.random('head', [hidden, vocabulary]);
  node('MatMul', [norm(x, 'output_norm'), head], ['logits']);

  const ids = (name: string, time: string) =>
    ({ name, type: 'i64', shape: ['batch_size', time] }) as const;
  const keysAndValues = (prefix: string, time: string) =>
    caches.map(({ i, what }) => ({
      name: `${prefix}.${i}.${what}`,
      type: 'f32' as const,
      shape: cache(time),
    }));
  return writeOnnx({
    inputs: [
      ids('input_ids', 'sequence_length'),
      ids('attention_mask', 'total_sequence_length'),
      ...keysAndValues('past_key_values', 'past_sequence_length'),
    ],
    outputs: [
      { name: 'logits', type: 'f32', shape: ['batch_size', 'sequence_length', vocabulary] },
      ...keysAndValues('present', 'total_sequence_length'),
    ],
    tensors: builder.tensors,
    nodes: builder.nodes,
    operators: { '': 17, [MICROSOFT]: 1 },
  });
}

/** Collects tensors and nodes; the methods for tensors return their names. */
class GraphBuilder {
  readonly tensors: OnnxTensor[] = [];
  readonly nodes: OnnxNode[] = [];
  #state = 1;

  node(
    operator: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, number | string>> = {},
    domain?: string,
    floats: readonly string[] = [],
  ): void {
    const named = domain === undefined ? {} : { domain };
    this.nodes.push({ operator, inputs, outputs, attributes, floats, ...named });
  }

  floats(name: string, shape: readonly number[], value: (i: number) => number): string {
    const values = Float32Array.from({ length: product(shape) }, (_, i) => value(i));
    return this.#add(name, 'f32', shape, new Uint8Array(values.buffer));
  }

  /** Uniform in [-0.03, 0.03). */
  random(name: string, shape: readonly number[]): string {
    return this.floats(name, shape, () => 0.06 * (this.#next() / 2 ** 32 - 0.5));
  }

  bytes(name: string, shape: readonly number[]): string {
    const words = Uint32Array.from({ length: Math.ceil(product(shape) / 4) }, () => this.#next());
    return this.#add(name, 'u8', shape, new Uint8Array(words.buffer, 0, product(shape)));
  }

  integers(name: string, shape: readonly number[], values: readonly number[]): string {
    const bytes = new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
    return this.#add(name, 'i64', shape, bytes);
  }

  #add(name: string, type: OnnxType, shape: readonly number[], bytes: Uint8Array): string {
    this.tensors.push({ name, type, shape, bytes });
    return name;
  }

  /** xorshift32. */
  #next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }
}

function product(shape: readonly number[]): number {
  return shape.reduce((all, extent) => all * extent, 1);
}
