/** The largest piece. */
const PIECE_BYTES = 2 ** 19;

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Yields the pieces of a stream as they arrive, each valid until the next one is requested: if the stream can fill
 * given memory, they share one buffer. Separate buffers would pile up faster than browsers collect them.
 *
 * @param wait - Awaits each piece.
 */
export async function* streamPieces(
  stream: ReadableStream<Bytes>,
  wait: <T>(piece: Promise<T>) => Promise<T> = (piece) => piece,
): AsyncGenerator<Bytes, void> {
  const { read, reader } = openReader(stream);
  try {
    for (;;) {
      const { done, value } = await wait(read());
      if (done || !value) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // a failed stream needs no cancelling
  }
}

interface Reader {
  readonly reader: ReadableStreamGenericReader;
  read(): Promise<{ readonly done: boolean; readonly value?: Bytes | undefined }>;
}

function openReader(stream: ReadableStream<Bytes>): Reader {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: 'byob' });
  } catch {
    const plain = stream.getReader(); // browsers differ in which streams fill given memory
    return { reader: plain, read: () => plain.read() };
  }
  let memory = new ArrayBuffer(PIECE_BYTES);
  return {
    reader,
    async read() {
      const result = await reader.read(new Uint8Array(memory));
      if (result.value) memory = result.value.buffer;
      return result;
    },
  };
}
