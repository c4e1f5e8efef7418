import type { Checkpoint } from '../../formats/checkpoint.ts';
import {
  type CheckpointTensor,
  checkTensor,
  type TensorPiece,
  tensorBytes,
} from '../../formats/checkpoint-tensor.ts';
import { Buffers, maxBindingBytes } from '../../gpu/buffers.ts';
import type { Gpu } from '../../gpu/device.ts';
import { encode } from '../../gpu/recorder.ts';
import type { ExpertMatrix } from '../../kernels/matrix.ts';
import { type NumberEncoding, type Repacking, RepackKernels } from '../../kernels/repack.ts';
import { BLOCK_COLUMNS } from '../../kernels/shape.ts';
import { allocateWeights, type Parameter, type Weights } from '../../model/weights.ts';
import type { ByteSource } from '../../sources/open-source.ts';
import type { ModelConfig } from '../../types/config.ts';
import type { DenseFormat } from '../../types/load.ts';
import type { ProgressMeter } from './progress.ts';
import { readTensor, Uploader } from './upload.ts';

const VECTOR_ENCODINGS = ['BF16', 'F16', 'F32'] as const;
const NUMBER_ENCODINGS: readonly NumberEncoding[] = ['BF16', 'F16', 'F32', 'Q8_0'];
const EXPERT_ENCODINGS = ['MXFP4', ...NUMBER_ENCODINGS] as const;

/** One published tensor, and how it gets to its place. */
interface Transfer {
  readonly piece: TensorPiece;
  readonly repacking: Repacking;
}

/** A parameter with what the checkpoint has of it, checked against the model's config. */
type Assignment = { readonly sizeBytes: number } & (
  | { readonly kind: 'vector'; readonly tensor: CheckpointTensor; readonly to: GPUBuffer }
  | { readonly kind: 'matrix'; prepare(repack: RepackKernels): Promise<Transfer[]> }
);

/** Weights that have their memory, and where their bytes lie. */
export interface PlacedWeights {
  readonly weights: Weights;
  readonly assignments: readonly Assignment[];
}

/**
 * Allocates the weights, and finds their tensors: all that can fail before the first byte of them is read.
 *
 * @param buffers - Owns the weights.
 * @throws {@link OssicleError} `format-invalid` where a tensor is missing or not what the config says; `out-of-memory`
 * where the GPU has no room.
 */
export async function placeWeights(
  gpu: Gpu,
  buffers: Buffers,
  config: ModelConfig,
  format: DenseFormat,
  checkpoint: Checkpoint,
): Promise<PlacedWeights> {
  const { weights, parameters } = allocateWeights(
    config,
    buffers,
    format,
    maxBindingBytes(gpu.device.limits),
  );
  const assignments = parameters.map((parameter) => assign(parameter, checkpoint));
  await buffers.allocated();
  return { weights, assignments };
}

/** Brings the tensors to the GPU, and into the layout that the kernels read. */
export async function uploadWeights(
  gpu: Gpu,
  { assignments }: PlacedWeights,
  source: ByteSource,
  progress: ProgressMeter,
  signal: AbortSignal | undefined,
): Promise<void> {
  const transient = new Buffers(gpu, 'load');
  const uploader = new Uploader(gpu);
  try {
    const repack = new RepackKernels(gpu, transient);
    progress.start('compile', 0);
    const transfers = await Promise.all(
      assignments.map((assignment) =>
        assignment.kind === 'matrix' ? assignment.prepare(repack) : [],
      ),
    );
    progress.start(
      'upload',
      assignments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    );
    for (const [i, assignment] of assignments.entries()) {
      signal?.throwIfAborted();
      if (assignment.kind === 'vector') {
        const values = await readTensor(source, assignment.tensor, signal);
        gpu.device.queue.writeBuffer(assignment.to, 0, values);
        progress.add(assignment.sizeBytes);
      }
      for (const { piece, repacking } of transfers[i] ?? []) {
        await uploader.upload(
          source,
          piece,
          repacking.rowBytes,
          repacking.rowsPerTile,
          (encoder, staged, firstRow, rows) =>
            encode(encoder, repacking.dispatches({ staged, firstRow, rows })),
          { signal, onBytes: (bytes) => progress.add(bytes) },
        );
      }
    }
    await uploader.finish();
    progress.end();
  } finally {
    uploader.dispose();
    transient.dispose();
  }
}

function assign(parameter: Parameter, checkpoint: Checkpoint): Assignment {
  const { name, kind, shape, to } = parameter;
  if (kind === 'experts') return assignExperts(name, to, checkpoint);
  const found = checkpoint.tensor(name);
  const sizeBytes = tensorBytes(found);
  if (kind === 'vector') {
    const tensor = checkTensor(found, VECTOR_ENCODINGS, shape);
    return { kind: 'vector', sizeBytes, tensor, to };
  }
  const { pieces } = checkTensor(found, NUMBER_ENCODINGS, shape);
  return matrix(sizeBytes, (repack) => {
    let first = 0;
    return pieces.map((piece) => {
      const repacking = repack.dense(piece.encoding, to, { first, step: 1 });
      first += piece.shape[0] ?? 0;
      return { piece, repacking };
    });
  });
}

function assignExperts(name: string, to: ExpertMatrix, checkpoint: Checkpoint): Assignment {
  const { experts, rows, columns } = to;
  const found = checkpoint.experts(name);
  if (found.form === 'blocks-and-scales') {
    const blocks = checkTensor(found.blocks, ['U8'], [experts, rows, columns / BLOCK_COLUMNS, 16]);
    const scales = checkTensor(found.scales, ['U8'], [experts, rows, columns / BLOCK_COLUMNS]);
    return matrix(tensorBytes(blocks) + tensorBytes(scales), (repack) => [
      ...blocks.pieces.map((piece) => ({ piece, repacking: repack.blocks(to) })),
      ...scales.pieces.map((piece) => ({ piece, repacking: repack.scales(to) })),
    ]);
  }
  const sizeBytes = tensorBytes(found.weight);
  if (found.form === 'columns') {
    const { pieces } = checkTensor(found.weight, VECTOR_ENCODINGS, [experts, columns, rows]);
    return matrix(sizeBytes, (repack) =>
      pieces.map((piece) => ({
        piece,
        repacking: repack.quantizedColumns(piece.encoding, to),
      })),
    );
  }
  // Gate and up, whose rows alternate, or down.
  const { pieces } = checkTensor(found.weight, EXPERT_ENCODINGS, [experts, rows, columns]);
  const step = pieces.length;
  return matrix(sizeBytes, (repack) =>
    pieces.map((piece, first) => ({
      piece,
      repacking:
        piece.encoding === 'MXFP4'
          ? repack.ggmlBlocks(to, { first, step })
          : repack.quantizedRows(piece.encoding, to, { first, step }),
    })),
  );
}

function matrix(
  sizeBytes: number,
  start: (
    repack: RepackKernels,
  ) => readonly { readonly piece: TensorPiece; readonly repacking: Promise<Repacking> }[],
): Assignment {
  return {
    kind: 'matrix',
    sizeBytes,
    prepare: (repack) =>
      Promise.all(
        start(repack).map(async ({ piece, repacking }) => ({ piece, repacking: await repacking })),
      ),
  };
}
