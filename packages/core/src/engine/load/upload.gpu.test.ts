import { expect, test } from 'vitest';
import { gpuTest, randomGenerator } from '../../../test/gpu.ts';
import { readBuffer } from '../../gpu/buffers.ts';
import { Gpu, requestDevice } from '../../gpu/device.ts';
import { type ByteSource, type FileRange, readAll } from '../../sources/byte-source.ts';
import { FileSource } from '../../sources/file-source.ts';
import { Uploader } from './upload.ts';

function randomBytes(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const next = randomGenerator(seed);
  return Uint8Array.from({ length }, () => next() * 256);
}

function sourceOf(files: Record<string, Uint8Array<ArrayBuffer>>): ByteSource {
  return new FileSource(
    'memory',
    new Map(Object.entries(files).map(([path, bytes]) => [path, new Blob([bytes])])),
  );
}

interface Chunk {
  firstRow: number;
  rows: number;
}

/**
 * Uploads a tensor, copies each staged chunk into its own buffer, and returns the chunks in row order, with all rows
 * joined.
 */
async function roundTrip(
  gpu: Gpu,
  uploader: Uploader,
  source: ByteSource,
  piece: FileRange,
  rowBytes: number,
  rowsPerTile: number,
): Promise<{ chunks: Chunk[]; bytes: Uint8Array; counted: number }> {
  const copies: (Chunk & { buffer: GPUBuffer })[] = [];
  let counted = 0;
  await uploader.upload(source, {
    piece,
    rowBytes,
    rowsPerTile,
    consume: (encoder, { staged, firstRow, rows }) => {
      const size = Math.ceil((rows * rowBytes) / 4) * 4;
      const buffer = gpu.device.createBuffer({
        size,
        usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
      });
      // The staged buffer lacks COPY_SRC, so a kernel copies it.
      copyWords(gpu, encoder, staged, buffer, size / 4);
      copies.push({ firstRow, rows, buffer });
    },
    onBytes: (bytes) => {
      counted += bytes;
    },
  });
  await uploader.finish();
  copies.sort((a, b) => a.firstRow - b.firstRow);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (const { rows, buffer } of copies) {
    parts.push(new Uint8Array(await readBuffer(gpu, buffer)).slice(0, rows * rowBytes));
    buffer.destroy();
  }
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return { chunks: copies.map(({ firstRow, rows }) => ({ firstRow, rows })), bytes, counted };
}

const pipelines = new WeakMap<GPUDevice, GPUComputePipeline>();

function copyWords(
  gpu: Gpu,
  encoder: GPUCommandEncoder,
  from: GPUBuffer,
  to: GPUBuffer,
  words: number,
): void {
  const { device } = gpu;
  let pipeline = pipelines.get(device);
  if (!pipeline) {
    const code = `
      @group(0) @binding(0) var<storage, read> source: array<u32>;
      @group(0) @binding(1) var<storage, read_write> target_words: array<u32>;
      @compute @workgroup_size(64) fn copy(@builtin(global_invocation_id) id: vec3u) {
        if (id.x < arrayLength(&target_words)) { target_words[id.x] = source[id.x]; }
      }`;
    pipeline = device.createComputePipeline({
      layout: 'auto',
      compute: { module: device.createShaderModule({ code }) },
    });
    pipelines.set(device, pipeline);
  }
  const target = device.createBuffer({
    size: words * 4,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC,
  });
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [
        { binding: 0, resource: { buffer: from } },
        { binding: 1, resource: { buffer: target } },
      ],
    }),
  );
  pass.dispatchWorkgroups(Math.ceil(words / 64));
  pass.end();
  encoder.copyBufferToBuffer(target, 0, to, 0, words * 4);
}

gpuTest.each([
  {
    what: 'one chunk',
    rows: 10,
    rowBytes: 16,
    rowsPerTile: 4,
    chunkBytes: 1024,
    slots: 4,
    chunks: 1,
  },
  {
    what: 'exact chunks',
    rows: 64,
    rowBytes: 16,
    rowsPerTile: 4,
    chunkBytes: 256,
    slots: 2,
    chunks: 4,
  },
  {
    what: 'a ragged last chunk',
    rows: 67,
    rowBytes: 16,
    rowsPerTile: 4,
    chunkBytes: 300,
    slots: 3,
    chunks: 5,
  },
  {
    what: 'rows that are not whole words',
    rows: 101,
    rowBytes: 3,
    rowsPerTile: 8,
    chunkBytes: 100,
    slots: 2,
    chunks: 4,
  },
  {
    what: 'one slot',
    rows: 50,
    rowBytes: 90,
    rowsPerTile: 1,
    chunkBytes: 500,
    slots: 1,
    chunks: 10,
  },
  {
    what: 'a tile larger than a chunk',
    rows: 70,
    rowBytes: 90,
    rowsPerTile: 32,
    chunkBytes: 500,
    slots: 2,
    chunks: 3,
  },
  {
    what: 'many chunks',
    rows: 3033,
    rowBytes: 96,
    rowsPerTile: 32,
    chunkBytes: 7000,
    slots: 4,
    chunks: 48,
  },
])(
  'an upload stages every byte: $what',
  async ({ rows, rowBytes, rowsPerTile, chunkBytes, slots, chunks }, { gpu }) => {
    const f = randomBytes(7 + rows * rowBytes, 1);
    const piece = { path: 'f', offsetBytes: 7, sizeBytes: rows * rowBytes };
    const uploader = new Uploader(gpu, { chunkBytes, slots });
    const result = await roundTrip(gpu, uploader, sourceOf({ f }), piece, rowBytes, rowsPerTile);
    const expected = f.slice(7);
    expect(result.bytes).toEqual(expected);
    expect(result.counted).toBe(expected.length);
    expect(result.chunks).toHaveLength(chunks);
    for (const { firstRow } of result.chunks) expect(firstRow % rowsPerTile).toBe(0);
    for (const chunk of result.chunks.slice(0, -1)) expect(chunk.rows % rowsPerTile).toBe(0);
    uploader.dispose();
  },
);

gpuTest('concurrent uploads of several sizes share the ring', async ({ gpu }) => {
  const uploader = new Uploader(gpu, { chunkBytes: 4096, slots: 3 });
  const files = { a: randomBytes(30_000, 1), b: randomBytes(8000, 2), c: randomBytes(96_000, 3) };
  const source = sourceOf(files);
  const results = await Promise.all(
    (['a', 'b', 'c'] as const).map((path, i) =>
      roundTrip(
        gpu,
        uploader,
        source,
        { path, offsetBytes: 0, sizeBytes: files[path].length },
        100,
        [8, 80, 16][i] as number,
      ),
    ),
  );
  expect(results.map(({ bytes }) => bytes)).toEqual(Object.values(files));
  uploader.dispose();
  expect(uploader.sizeBytes).toBe(0);
});

gpuTest('staging stays within 64 MiB for any tile size', async ({ gpu }) => {
  const uploader = new Uploader(gpu);
  const bytes = randomBytes(24 * 2 ** 20 + 12, 5);
  const source = sourceOf({ f: bytes });
  const piece = { path: 'f', offsetBytes: 4, sizeBytes: 24 * 2 ** 20 };
  let largest = 0;
  const consume = (): void => {
    largest = Math.max(largest, uploader.sizeBytes);
  };
  await uploader.upload(source, { piece, rowBytes: 1024, rowsPerTile: 32, consume });
  expect(largest).toBeGreaterThan(8 * 2 ** 20);
  await uploader.upload(source, { piece, rowBytes: 12 * 2 ** 20, rowsPerTile: 1, consume });
  expect(largest).toBeLessThanOrEqual(64 * 2 ** 20);
  await uploader.finish();
  uploader.dispose();
});

gpuTest('as many reads run in parallel as there are slots', async ({ gpu }) => {
  const uploader = new Uploader(gpu, { chunkBytes: 64, slots: 3 });
  let reading = 0;
  let most = 0;
  const inner = sourceOf({ f: randomBytes(640, 4) });
  const source: ByteSource = {
    id: 'slow',
    size: (path) => inner.size(path),
    list: () => inner.list(),
    stream: (range) => inner.stream(range),
    async read(from, into) {
      most = Math.max(most, ++reading);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await inner.read(from, into);
      reading--;
    },
  };
  const result = await roundTrip(
    gpu,
    uploader,
    source,
    { path: 'f', offsetBytes: 0, sizeBytes: 640 },
    8,
    8,
  );
  expect(most).toBe(3);
  expect(result.bytes).toEqual(await readAll(inner, 'f'));
  uploader.dispose();
});

gpuTest(
  'an abort rejects the upload with its reason, and the next upload works',
  async ({ gpu }) => {
    const uploader = new Uploader(gpu, { chunkBytes: 256, slots: 2 });
    const files = { f: randomBytes(64_000, 6) };
    const piece = { path: 'f', offsetBytes: 0, sizeBytes: 64_000 };
    const reason = new Error('enough');
    for (const after of [0, 1, 2, 3, 17]) {
      const controller = new AbortController();
      let consumed = 0;
      const upload = uploader.upload(sourceOf(files), {
        piece,
        rowBytes: 64,
        rowsPerTile: 4,
        consume: () => {
          if (++consumed === after) controller.abort(reason);
        },
        signal: after === 0 ? AbortSignal.abort(reason) : controller.signal,
      });
      await expect(upload).rejects.toBe(reason);
      expect(consumed).toBeLessThan(after + 2);
    }
    const result = await roundTrip(gpu, uploader, sourceOf(files), piece, 64, 4);
    expect(result.bytes).toEqual(files.f);
    uploader.dispose();
  },
);

gpuTest(
  'errors of the source and the consumer reject the upload, and the next upload works',
  async ({ gpu }) => {
    const uploader = new Uploader(gpu, { chunkBytes: 256, slots: 2 });
    const files = { f: randomBytes(1000, 7) };
    const piece = { path: 'f', offsetBytes: 0, sizeBytes: 1000 };
    const source = sourceOf(files);
    const tooLong = { ...piece, sizeBytes: 2000 };
    const rows = { piece, rowBytes: 10, rowsPerTile: 1, consume: () => {} };
    await expect(uploader.upload(source, { ...rows, piece: tooLong })).rejects.toMatchObject({
      code: 'integrity',
    });
    const wrong = new Error('wrong kernel');
    const consume = (): void => {
      throw wrong;
    };
    await expect(uploader.upload(source, { ...rows, consume })).rejects.toBe(wrong);
    await expect(uploader.upload(source, { ...rows, onBytes: consume })).rejects.toBe(wrong);
    await expect(uploader.upload(source, { ...rows, rowBytes: 7 })).rejects.toThrow(RangeError);
    const result = await roundTrip(gpu, uploader, source, piece, 10, 1);
    expect(result.bytes).toEqual(files.f);
    uploader.dispose();
  },
);

gpuTest('disposing during an upload rejects it and leaves the device usable', async ({ gpu }) => {
  const uploader = new Uploader(gpu, { chunkBytes: 256, slots: 2 });
  const files = { f: randomBytes(64_000, 8) };
  const piece = { path: 'f', offsetBytes: 0, sizeBytes: 64_000 };
  let consumed = 0;
  const upload = uploader.upload(sourceOf(files), {
    piece,
    rowBytes: 64,
    rowsPerTile: 4,
    consume: () => {
      if (++consumed === 5) queueMicrotask(() => uploader.dispose());
    },
  });
  await expect(upload).rejects.toMatchObject({ code: 'disposed' });
  const next = new Uploader(gpu, { chunkBytes: 256, slots: 2 });
  const result = await roundTrip(gpu, next, sourceOf(files), piece, 64, 4);
  expect(result.bytes).toEqual(files.f);
  next.dispose();
});

test('a device lost during an upload rejects it with device-lost', async () => {
  const device = await requestDevice();
  const gpu = new Gpu(device);
  const uploader = new Uploader(gpu, { chunkBytes: 256, slots: 2 });
  const files = { f: randomBytes(64_000, 9) };
  let consumed = 0;
  const upload = uploader.upload(sourceOf(files), {
    piece: { path: 'f', offsetBytes: 0, sizeBytes: 64_000 },
    rowBytes: 64,
    rowsPerTile: 4,
    consume: () => {
      if (++consumed === 5) setTimeout(() => device.destroy());
    },
  });
  await expect(upload).rejects.toMatchObject({ code: 'device-lost' });
  uploader.dispose();
  gpu.dispose();
});
