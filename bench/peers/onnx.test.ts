import { expect, test } from 'vitest';
import { type OnnxGraph, writeOnnx } from './onnx.ts';

/** A message of protobuf: values by field, as numbers or bytes. */
type Message = Map<number, (number | Uint8Array)[]>;

const GRAPH: OnnxGraph = {
  inputs: [{ name: 'ids', type: 'i64', shape: ['batch', 3] }],
  outputs: [],
  tensors: [{ name: 'w', type: 'u8', shape: [300, 1], bytes: new Uint8Array(300).fill(7) }],
  nodes: [
    {
      operator: 'QMoE',
      inputs: ['ids', '', 'w'],
      outputs: ['y'],
      domain: 'com.microsoft',
      attributes: { k: 4, window: -1, limit: 7, alpha: 1.5, kind: 'swiglu' },
      floats: ['limit'],
    },
  ],
  operators: { '': 17 },
};

test('a graph has the field numbers and types of onnx.proto', () => {
  const model = read(joined(writeOnnx(GRAPH)));
  expect(model.get(1)).toEqual([8]);
  expect(read(bytesOf(model, 8)).get(2)).toEqual([17]);
  const graph = read(bytesOf(model, 7));

  const node = read(bytesOf(graph, 1));
  expect(node.get(1)?.map(textOf)).toEqual(['ids', '', 'w']);
  expect(textOf(bytesOf(node, 4))).toBe('QMoE');
  expect(textOf(bytesOf(node, 7))).toBe('com.microsoft');
  const attributes = node.get(5)?.map((bytes) => read(bytes as Uint8Array)) ?? [];
  const [k, window, limit, alpha, kind] = attributes as [
    Message,
    Message,
    Message,
    Message,
    Message,
  ];
  expect([k.get(3), k.get(20)]).toEqual([[4], [2]]);
  expect([window.get(3), window.get(20)]).toEqual([[-1], [2]]);
  expect([limit.get(2), limit.get(20)]).toEqual([[7], [1]]);
  expect([alpha.get(2), alpha.get(20)]).toEqual([[1.5], [1]]);
  expect([textOf(bytesOf(kind, 4)), kind.get(20)]).toEqual(['swiglu', [3]]);

  const tensor = read(bytesOf(graph, 5));
  expect([tensor.get(1), tensor.get(2)]).toEqual([[300, 1], [2]]);
  expect(bytesOf(tensor, 9)).toEqual(new Uint8Array(300).fill(7));

  const type = read(bytesOf(read(bytesOf(read(bytesOf(graph, 11)), 2)), 1));
  expect(type.get(1)).toEqual([7]);
  const extents = read(bytesOf(type, 2))
    .get(1)
    ?.map((bytes) => read(bytes as Uint8Array));
  expect(textOf(bytesOf(extents?.[0] as Message, 2))).toBe('batch');
  expect(extents?.[1]?.get(1)).toEqual([3]);
});

function read(bytes: Uint8Array): Message {
  const message: Message = new Map();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] as number;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(BigInt.asIntN(64, value));
    }
  };
  while (at < bytes.length) {
    const key = varint();
    let value: number | Uint8Array;
    if ((key & 7) === 2) {
      const length = varint();
      value = bytes.subarray(at, at + length);
      at += length;
    } else if ((key & 7) === 5) {
      value = view.getFloat32(at, true);
      at += 4;
    } else value = varint();
    message.set(key >> 3, [...(message.get(key >> 3) ?? []), value]);
  }
  return message;
}

function bytesOf(message: Message, field: number): Uint8Array {
  const [value] = message.get(field) ?? [];
  if (!(value instanceof Uint8Array)) throw new Error(`Field ${field} holds no bytes`);
  return value;
}

function textOf(bytes: number | Uint8Array): string {
  return new TextDecoder().decode(bytes as Uint8Array);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(pieces.flatMap((piece) => [...piece]));
}
