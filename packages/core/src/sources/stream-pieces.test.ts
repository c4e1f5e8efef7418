import { expect, test } from 'vitest';
import { streamPieces } from './stream-pieces.ts';

type Bytes = Uint8Array<ArrayBuffer>;

const sources = [[1, 2, 3], [4], [5, 6]].map((values) => Uint8Array.from(values));

const streams: Record<string, (onCancel: () => void) => ReadableStream<Bytes>> = {
  'a byte stream': (cancel) => {
    const left = [...sources];
    return new ReadableStream({
      type: 'bytes',
      pull(controller) {
        const next = left.shift();
        if (next) return controller.enqueue(next.slice());
        controller.close();
        controller.byobRequest?.respond(0);
      },
      cancel,
    });
  },
  'a default stream': (cancel) => {
    const left = [...sources];
    return new ReadableStream({
      pull(controller) {
        const next = left.shift();
        if (next) controller.enqueue(next.slice());
        else controller.close();
      },
      cancel,
    });
  },
};

for (const [name, open] of Object.entries(streams)) {
  test(`${name} yields all of its bytes in order`, async () => {
    const found: number[] = [];
    for await (const piece of streamPieces(open(() => undefined))) found.push(...piece);
    expect(found).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test(`${name} is cancelled if its reader stops early`, async () => {
    let isCancelled = false;
    const stream = open(() => {
      isCancelled = true;
    });
    for await (const piece of streamPieces(stream)) {
      expect([...piece]).toEqual([1, 2, 3]);
      break;
    }
    expect(isCancelled).toBe(true);
  });
}

test('pieces of a byte stream share one buffer', async () => {
  const open = streams['a byte stream'];
  const pieces: Bytes[] = [];
  for await (const piece of streamPieces(open!(() => undefined))) {
    expect(pieces.every(({ length }) => length === 0)).toBe(true); // their buffer was transferred to this piece
    pieces.push(piece);
  }
  expect(pieces).toHaveLength(3);
});
