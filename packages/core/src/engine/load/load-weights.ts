import type { Checkpoint } from '../../formats/checkpoint.ts';
import {
  type CheckpointTensor,
  checkTensor,
  tensorBytes,
} from '../../formats/checkpoint-tensor.ts';
import { readTensor } from '../../formats/read-tensor.ts';
import { Buffers, maxBindingBytes } from '../../gpu/buffers.ts';
import type { Gpu } from '../../gpu/device.ts';
import { encode } from '../../gpu/recorder.ts';
import type { ExpertMatrix } from '../../kernels/matrix.ts';
import { type NumberEncoding, type Repacking, RepackKernels } from '../../kernels/repack.ts';
import { BLOCK_COLUMNS } from '../../kernels/shape.ts';
import { allocateWeights, type Parameter, type Weights } from '../../model/weights.ts';
import type { ByteSource, FileRange } from '../../sources/byte-source.ts';
import type { LoadPlan } from './plan.ts';
import type { ProgressMeter } from './progress.ts';
import { Uploader } from './upload.ts';

const VECTOR_ENCODINGS = ['BF16', 'F16', 'F32'] as const;
const NUMBER_ENCODINGS: readonly NumberEncoding[] = ['BF16', 'F16', 'F32', 'Q8_0'];
const EXPERT_ENCODINGS = ['MXFP4', ...NUMBER_ENCODINGS] as const;

/** A published tensor, and the kernels that bring it to its place. */
interface Transfer {
  readonly piece: FileRange;
  readonly repacking: Repacking;
}

/** A parameter and its tensors in the checkpoint, checked against the model's config. */
type Assignment = { readonly sizeBytes: number } & (
  | { readonly kind: 'vector'; readonly tensor: CheckpointTensor; readonly to: GPUBuffer }
  | { readonly kind: 'matrix'; prepare(repack: RepackKernels): Promise<Transfer>[] }
);

/** Weights that have their memory, but not yet their bytes. */
export interface PlacedWeights {
  readonly weights: Weights;
  readonly assignments: readonly Assignment[];
}

/**
 * Allocates the weights and finds their tensors: everything that can fail before their first byte is read.
 *
 * @param buffers - Owns the weights.
 * @throws {@link OssicleError} `format-invalid` if a tensor is missing or does not fit the config; `out-of-memory` if
 * the GPU has no room.
 */
export async function placeWeights(
  gpu: Gpu,
  buffers: Buffers,
  { config, shape }: LoadPlan,
  checkpoint: Checkpoint,
): Promise<PlacedWeights> {
  const maxBytes = maxBindingBytes(gpu.device.limits);
  const { weights, parameters } = allocateWeights(config, buffers, shape.dense, maxBytes);
  const assignments = parameters.map((parameter) => assign(parameter, checkpoint));
  await buffers.allocated();
  return { weights, assignments };
}

/** What {@link WeightUpload.run} reads from, and tells. */
interface UploadOptions {
  readonly source: ByteSource;
  readonly progress: ProgressMeter;
  readonly signal: AbortSignal | undefined;
}

/** Uploads the tensors to the GPU, into the layout that the kernels read. */
export class WeightUpload {
  readonly #gpu: Gpu;
  readonly #assignments: readonly Assignment[];
  readonly #transient: Buffers;
  readonly #transfers: Promise<readonly (readonly Transfer[])[]>;

  /** Starts to compile the kernels that re-lay weights. Create it before others compile theirs: it needs them first. */
  constructor(gpu: Gpu, { assignments }: PlacedWeights) {
    this.#gpu = gpu;
    this.#assignments = assignments;
    this.#transient = new Buffers(gpu, 'load');
    const repack = new RepackKernels(gpu, this.#transient);
    this.#transfers = Promise.all(
      assignments.map((assignment) =>
        assignment.kind === 'matrix' ? Promise.all(assignment.prepare(repack)) : [],
      ),
    );
    this.#transfers.catch(() => undefined); // awaited when the bytes are there
  }

  /**
   * Uploads everything, and waits for the GPU.
   *
   * @throws The errors of {@link ByteSource.read} and of the device.
   */
  async run({ source, progress, signal }: UploadOptions): Promise<void> {
    const uploader = new Uploader(this.#gpu);
    const onBytes = (bytes: number): void => progress.add(bytes);
    try {
      progress.start('compile', 0);
      const transfers = await this.#transfers;
      progress.start(
        'upload',
        this.#assignments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      );
      for (const [i, assignment] of this.#assignments.entries()) {
        signal?.throwIfAborted();
        if (assignment.kind === 'vector') {
          const values = await readTensor(source, assignment.tensor, signal);
          this.#gpu.device.queue.writeBuffer(assignment.to, 0, values);
          onBytes(assignment.sizeBytes);
        }
        for (const { piece, repacking } of transfers[i] ?? []) {
          const { rowBytes, rowsPerTile } = repacking;
          await uploader.upload(source, {
            piece,
            rowBytes,
            rowsPerTile,
            consume: (encoder, chunk) => encode(encoder, repacking.dispatches(chunk)),
            signal,
            onBytes,
          });
        }
      }
      await uploader.finish();
      progress.end();
    } finally {
      uploader.dispose();
    }
  }

  /** Releases what only the upload needs. */
  dispose(): void {
    this.#transient.dispose();
  }
}

async function transfer(piece: FileRange, repacking: Promise<Repacking>): Promise<Transfer> {
  return { piece, repacking: await repacking };
}

function assign(parameter: Parameter, checkpoint: Checkpoint): Assignment {
  const { name, kind, shape, to } = parameter;
  if (kind === 'experts') return assignExperts(name, to, checkpoint);
  const found = checkpoint.tensor(name);
  const sizeBytes = tensorBytes(found);
  if (kind === 'vector') {
    const tensor = checkTensor(found, VECTOR_ENCODINGS, shape);
    return { kind, sizeBytes, tensor, to };
  }
  const { pieces } = checkTensor(found, NUMBER_ENCODINGS, shape);
  const prepare = (repack: RepackKernels) => {
    let end = 0;
    return pieces.map((piece) => {
      const first = end;
      end += piece.shape[0] ?? 0;
      return transfer(piece, repack.dense(piece.encoding, to, { first, step: 1 }));
    });
  };
  return { kind: 'matrix', sizeBytes, prepare };
}

function assignExperts(name: string, to: ExpertMatrix, checkpoint: Checkpoint): Assignment {
  const { experts, rows, columns } = to;
  const found = checkpoint.experts(name);
  if (found.form === 'blocks-and-scales') {
    const blocks = checkTensor(found.blocks, ['U8'], [experts, rows, columns / BLOCK_COLUMNS, 16]);
    const scales = checkTensor(found.scales, ['U8'], [experts, rows, columns / BLOCK_COLUMNS]);
    return {
      kind: 'matrix',
      sizeBytes: tensorBytes(blocks) + tensorBytes(scales),
      prepare: (repack) => [
        ...blocks.pieces.map((piece) => transfer(piece, repack.blocks(to))),
        ...scales.pieces.map((piece) => transfer(piece, repack.scales(to))),
      ],
    };
  }
  const sizeBytes = tensorBytes(found.weight);
  if (found.form === 'columns') {
    const { pieces } = checkTensor(found.weight, VECTOR_ENCODINGS, [experts, columns, rows]);
    const prepare = (repack: RepackKernels) =>
      pieces.map((piece) => transfer(piece, repack.quantizedColumns(piece.encoding, to)));
    return { kind: 'matrix', sizeBytes, prepare };
  }
  // Gate and up, whose rows alternate, or down.
  const { pieces } = checkTensor(found.weight, EXPERT_ENCODINGS, [experts, rows, columns]);
  const step = pieces.length;
  const prepare = (repack: RepackKernels) =>
    pieces.map((piece, first) =>
      transfer(
        piece,
        piece.encoding === 'MXFP4'
          ? repack.ggmlBlocks(to, { first, step })
          : repack.quantizedRows(piece.encoding, to, { first, step }),
      ),
    );
  return { kind: 'matrix', sizeBytes, prepare };
}
