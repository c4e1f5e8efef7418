import { Buffers, maxBindingBytes } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { encode } from '../gpu/recorder.ts';
import type { ExpertMatrix } from '../kernels/matrix.ts';
import { type NumberEncoding, type Repacking, RepackKernels } from '../kernels/repack.ts';
import type { ModelConfig } from '../model/config.ts';
import { allocateWeights, type Parameter, type Weights } from '../model/weights.ts';
import type { DenseFormat } from '../types.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import {
  type CheckpointTensor,
  checkTensor,
  type TensorPiece,
  tensorBytes,
} from '../weights/checkpoint-tensor.ts';
import type { ProgressMeter } from '../weights/progress.ts';
import type { ByteSource } from '../weights/sources.ts';
import { readTensor, Uploader } from '../weights/upload.ts';

const VECTOR_ENCODINGS = ['BF16', 'F16', 'F32'] as const;
const NUMBER_ENCODINGS: readonly NumberEncoding[] = ['BF16', 'F16', 'F32', 'Q8_0'];
const EXPERT_ENCODINGS = ['MXFP4', ...NUMBER_ENCODINGS] as const;

/** A parameter with what the checkpoint has of it, checked against the model's config. */
interface Assignment {
  readonly sizeBytes: number;
  /** Brings it to the GPU. */
  load(loader: Loader): Promise<void>;
}

/** What loading one parameter takes. */
interface Loader {
  readonly gpu: Gpu;
  readonly source: ByteSource;
  readonly repack: RepackKernels;
  readonly signal: AbortSignal | undefined;
  readonly progress: ProgressMeter;
  upload(piece: TensorPiece, repacking: Repacking): Promise<void>;
}

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
  const assignments = parameters.map((parameter) => assign(parameter, checkpoint));
  await buffers.allocated();

  const transient = new Buffers(gpu, 'load');
  const uploader = new Uploader(gpu);
  const loader: Loader = {
    gpu,
    source,
    repack: new RepackKernels(gpu, transient),
    signal,
    progress,
    upload: (piece, { rowBytes, rowsPerTile, dispatches }) =>
      uploader.upload(
        source,
        [piece],
        rowBytes,
        rowsPerTile,
        (encoder, staged, firstRow, rows) =>
          encode(encoder, dispatches({ staged, firstRow, rows })),
        { signal, onBytes: (bytes) => progress.add(bytes) },
      ),
  };
  try {
    progress.start(
      'upload',
      assignments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    );
    for (const assignment of assignments) {
      signal?.throwIfAborted();
      await assignment.load(loader);
    }
    await uploader.finish();
    progress.end();
  } finally {
    uploader.dispose();
    transient.dispose();
  }
  return weights;
}

function assign(parameter: Parameter, checkpoint: Checkpoint): Assignment {
  const { name, kind, shape, to } = parameter;
  if (kind === 'experts') return assignExperts(name, to, checkpoint);
  const found = checkpoint.tensor(name);
  const sizeBytes = tensorBytes(found);
  if (kind === 'vector') {
    const tensor = checkTensor(found, VECTOR_ENCODINGS, shape);
    return {
      sizeBytes,
      load: async ({ gpu, source, signal, progress }) => {
        gpu.device.queue.writeBuffer(to, 0, await readTensor(source, tensor, signal));
        progress.add(sizeBytes);
      },
    };
  }
  const tensor = checkTensor(found, NUMBER_ENCODINGS, shape);
  return {
    sizeBytes,
    load: async ({ repack, upload }) => {
      let first = 0;
      for (const piece of tensor.pieces) {
        await upload(piece, await repack.dense(piece.encoding, to, { first, step: 1 }));
        first += piece.shape[0] as number;
      }
    },
  };
}

function assignExperts(name: string, to: ExpertMatrix, checkpoint: Checkpoint): Assignment {
  const { experts, rows, columns } = to;
  const found = checkpoint.experts(name);
  if (found.form === 'blocks-and-scales') {
    const { blocks, scales } = found;
    checkTensor(blocks, ['U8'], [experts, rows, columns / 32, 16]);
    checkTensor(scales, ['U8'], [experts, rows, columns / 32]);
    return {
      sizeBytes: tensorBytes(blocks) + tensorBytes(scales),
      load: async ({ repack, upload }) => {
        for (const piece of blocks.pieces) await upload(piece, await repack.blocks(to));
        for (const piece of scales.pieces) await upload(piece, await repack.scales(to));
      },
    };
  }
  const sizeBytes = tensorBytes(found.weight);
  if (found.form === 'columns') {
    const weight = checkTensor(found.weight, VECTOR_ENCODINGS, [experts, columns, rows]);
    return {
      sizeBytes,
      load: async ({ repack, upload }) => {
        for (const piece of weight.pieces) {
          await upload(piece, await repack.quantizedColumns(piece.encoding, to));
        }
      },
    };
  }
  const weight = checkTensor(found.weight, EXPERT_ENCODINGS, [experts, rows, columns]);
  return { sizeBytes, load: (loader) => loadExpertRows(loader, weight, to) };
}

/** Gate and up of GGUF files, whose rows alternate, or down. */
async function loadExpertRows(
  { repack, upload }: Loader,
  { pieces }: CheckpointTensor<(typeof EXPERT_ENCODINGS)[number]>,
  to: ExpertMatrix,
): Promise<void> {
  for (const [first, piece] of pieces.entries()) {
    const placement = { first, step: pieces.length };
    const repacking =
      piece.encoding === 'MXFP4'
        ? await repack.ggmlBlocks(to, placement)
        : await repack.quantizedRows(piece.encoding, to, placement);
    await upload(piece, repacking);
  }
}
