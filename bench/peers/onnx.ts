/** Bytes in pieces, so that large tensors are not copied. */
type Pieces = readonly Uint8Array[];

/** A tensor with its values. */
export interface OnnxTensor {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** An input or output; extents are numbers or names. */
export interface OnnxValue {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly (number | string)[];
}

/** An operator and its operands; an empty name leaves one out. */
export interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Default: ONNX's own. */
  readonly domain?: string;
  /** Whole numbers are integers unless named in `floats`. */
  readonly attributes?: Readonly<Record<string, number | string>>;
  readonly floats?: readonly string[];
}

/** A graph. */
export interface OnnxGraph {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly tensors: readonly OnnxTensor[];
  readonly nodes: readonly OnnxNode[];
  /** Versions of the operators by domain. */
  readonly operators: Readonly<Record<string, number>>;
}

const TYPES = { f32: 1, u8: 2, i32: 6, i64: 7 } as const;

/** The type of elements. */
export type OnnxType = keyof typeof TYPES;

/** The number that ONNX has for a type, for the attribute of `Cast`. */
export function onnxTypeNumber(type: OnnxType): number {
  return TYPES[type];
}

/** Writes a model as ONNX defines it in onnx.proto. */
export function writeOnnx(graph: OnnxGraph): Pieces {
  return [
    ...number(1, 8), // ir_version
    ...message(7, [
      ...graph.nodes.flatMap((node) => message(1, nodeFields(node))),
      ...text(2, 'graph'),
      ...graph.tensors.flatMap((tensor) => message(5, tensorFields(tensor))),
      ...graph.inputs.flatMap((value) => message(11, valueFields(value))),
      ...graph.outputs.flatMap((value) => message(12, valueFields(value))),
    ]),
    ...Object.entries(graph.operators).flatMap(([domain, version]) =>
      message(8, [...text(1, domain), ...number(2, version)]),
    ),
  ];
}

function nodeFields({ operator, inputs, outputs, domain, attributes, floats }: OnnxNode): Pieces {
  return [
    ...inputs.flatMap((name) => text(1, name)),
    ...outputs.flatMap((name) => text(2, name)),
    ...text(4, operator),
    ...Object.entries(attributes ?? {}).flatMap(([name, value]) =>
      message(5, attributeFields(name, value, floats?.includes(name) ?? false)),
    ),
    ...(domain === undefined ? [] : text(7, domain)),
  ];
}

function attributeFields(name: string, value: number | string, isFloat: boolean): Pieces {
  const [field, type] =
    typeof value === 'string'
      ? [text(4, value), 3]
      : isFloat || !Number.isInteger(value)
        ? [float(2, value), 1]
        : [number(3, value), 2];
  return [...text(1, name), ...field, ...number(20, type)];
}

function tensorFields({ name, type, shape, bytes }: OnnxTensor): Pieces {
  return [
    ...shape.flatMap((extent) => number(1, extent)),
    ...number(2, TYPES[type]),
    ...text(8, name),
    ...message(9, [bytes]),
  ];
}

function valueFields({ name, type, shape }: OnnxValue): Pieces {
  const extents = shape.flatMap((extent) =>
    message(1, typeof extent === 'number' ? number(1, extent) : text(2, extent)),
  );
  const tensor = [...number(1, TYPES[type]), ...message(2, extents)];
  return [...text(1, name), ...message(2, message(1, tensor))];
}

/** A field of protobuf: its key, and what follows. */
function key(field: number, wireType: number): Uint8Array {
  return varint(field * 8 + wireType);
}

/** A number that is not negative, or -1, in groups of 7 bits. */
function varint(value: number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

function number(field: number, value: number): Pieces {
  return [key(field, 0), varint(value)];
}

function float(field: number, value: number): Pieces {
  return [key(field, 5), new Uint8Array(Float32Array.of(value).buffer)];
}

function text(field: number, value: string): Pieces {
  return message(field, [new TextEncoder().encode(value)]);
}

function message(field: number, pieces: Pieces): Pieces {
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return [key(field, 2), varint(bytes), ...pieces];
}
