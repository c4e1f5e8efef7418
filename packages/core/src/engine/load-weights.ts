import { Buffers, maxBindingBytes } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { encode } from '../gpu/recorder.ts';
import type {} from '../kernels/matrix.ts';
import { PUBLISHED_ROWS, RepackKernels, type StagedRows } from '../kernels/repack.ts';
import type { ModelConfig } from '../model/config.ts';
import { allocateWeights, type Parameter, type Weights } from '../model/weights.ts';
import type { DenseFormat } from '../types.ts';
import type { Checkpoint, CheckpointTensor } from '../weights/checkpoint.ts';
import type { ProgressMeter } from '../weights/progress.ts';
import type { ByteSource } from '../weights/sources.ts';
import { readTensor, Uploader } from '../weights/upload.ts';

/** What the published files hold of each kind of parameter. */
const DTYPES = { vector: 'BF16', dense: 'BF16', blocks: 'U8', scales: 'U8' } as const;

/**
 * Brings a checkpoint's tensors to the GPU, and into the layout that the kernels read.
 *
 * @param buffers - Owns the weights.
 * @throws {@link OssicleError} `format-invalid` before the first byte where a tensor is missing or not what the config
 * says; `out-of-memory` where the GPU has no room.
 */
export async function loadWeights(
  gpu: Gpu,
  buffers: Buffers,
  config: ModelConfig,
  format: DenseFormat,
  checkpoint: Checkpoint,
  source: ByteSource,
  progress: ProgressMeter,
  signal: AbortSignal | undefined,
): Promise<Weights> {
  const { weights, parameters } = allocateWeights(
    config,
    buffers,
    format,
    maxBindingBytes(gpu.device.limits),
  );
  const tensors = parameters.map(({ name, kind, shape }) =>
    checkpoint.expect(name, DTYPES[kind], shape),
  );
  await buffers.allocated();

  const transient = new Buffers(gpu, 'load');
  const uploader = new Uploader(gpu);
  try {
    const columns = parameters.flatMap((parameter) =>
      parameter.kind === 'vector' ? [] : [parameter.to.columns],
    );
    const repack = await RepackKernels.compile(gpu, columns, transient);
    progress.start(
      'upload',
      tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0),
    );
    for (const [i, parameter] of parameters.entries()) {
      signal?.throwIfAborted();
      const tensor = tensors[i] as CheckpointTensor;
      await loadParameter(gpu, uploader, repack, parameter, tensor, source, progress, signal);
    }
    await uploader.finish();
    progress.end();
  } finally {
    uploader.dispose();
    transient.dispose();
  }
  return weights;
}

async function loadParameter(
  gpu: Gpu,
  uploader: Uploader,
  repack: RepackKernels,
  parameter: Parameter,
  tensor: CheckpointTensor,
  source: ByteSource,
  progress: ProgressMeter,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (parameter.kind === 'vector') {
    const values = await readTensor(source, tensor, signal);
    gpu.device.queue.writeBuffer(parameter.to, 0, values);
    progress.add(tensorBytes(tensor));
    return;
  }
  const { kind, to } = parameter;
  const dispatches = (from: StagedRows) => {
    if (kind === 'dense') return repack.dense(from, to);
    return kind === 'blocks' ? repack.blocks(from, to) : repack.scales(from, to);
  };
  await uploader.upload(
    source,
    tensor.pieces,
    PUBLISHED_ROWS[kind](to.columns),
    PUBLISHED_ROWS.perTile,
    (encoder, staged, firstRow, rows) => encode(encoder, dispatches({ staged, firstRow, rows })),
    { signal, onBytes: (bytes) => progress.add(bytes) },
  );
}

function tensorBytes({ pieces }: CheckpointTensor): number {
  return pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
