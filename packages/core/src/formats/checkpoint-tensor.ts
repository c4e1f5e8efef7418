import { OssicleError } from '../errors.ts';
import type { GgmlType } from './ggml-types.ts';
import type { Dtype } from './safetensors.ts';

/** How a file stores a tensor's elements: a dtype of safetensors or a type of ggml. */
export type Encoding = Dtype | GgmlType;

/** A contiguous part of a file. */
export interface TensorPiece {
  /** The file's path within the source. */
  readonly path: string;
  /** Where the part begins, from the file's start. */
  readonly offsetBytes: number;
  /** How long it is. */
  readonly sizeBytes: number;
}

/** A tensor as a file declares it. */
export interface PublishedTensor<E extends Encoding = Encoding> extends TensorPiece {
  /** Its name in the file. */
  readonly name: string;
  /** How its elements are stored. */
  readonly encoding: E;
  /** Its extents, outermost first. */
  readonly shape: readonly number[];
}

/** A tensor of OpenAI's original layout, made up of what a checkpoint has of it. */
export interface CheckpointTensor<E extends Encoding = Encoding> {
  /** Its name in the original layout. */
  readonly name: string;
  /** Its extents, outermost first. */
  readonly shape: readonly number[];
  /** What its rows are in. */
  readonly pieces: readonly PublishedTensor<E>[];
  /**
   * How the pieces join: one after another along the first dimension, or in turn along the second, as gate and up rows of
   * each expert.
   */
  readonly order: 'consecutive' | 'alternating';
}

/** One matrix of each expert, [experts, rows, columns], as a checkpoint has it. */
export type CheckpointExperts =
  /** MXFP4 as published: blocks [experts, rows, columns / 32, 16] and scales [experts, rows, columns / 32], both U8. */
  | {
      readonly form: 'blocks-and-scales';
      readonly blocks: CheckpointTensor;
      readonly scales: CheckpointTensor;
    }
  /** `rows`: [experts, rows, columns], in GGUF. `columns`: [experts, columns, rows], as transformers saves what it has unpacked. */
  | { readonly form: 'rows' | 'columns'; readonly weight: CheckpointTensor };

/**
 * Joins the tensors of a file that make up one of the original layout.
 *
 * @throws {@link OssicleError} `format-invalid` where their shapes do not go together.
 */
export function joinTensors(
  name: string,
  pieces: readonly PublishedTensor[],
  order: CheckpointTensor['order'] = 'consecutive',
): CheckpointTensor {
  const [first] = pieces;
  if (!first) throw new RangeError(`${name} has no pieces`);
  const dimension = order === 'consecutive' ? 0 : 1;
  const rest = ({ shape }: PublishedTensor): string =>
    (order === 'consecutive' ? shape.slice(1) : shape).join();
  for (const piece of pieces.slice(1)) {
    if (rest(piece) !== rest(first) || piece.shape.length <= dimension) {
      throw invalid(
        `${piece.name} in ${piece.path} is ${format(piece.encoding, piece.shape)}, which does not go with ` +
          `${first.name} in ${first.path}, ${format(first.encoding, first.shape)}.`,
      );
    }
  }
  const shape = first.shape.map((extent, i) =>
    i === dimension ? pieces.reduce((sum, piece) => sum + (piece.shape[i] ?? 0), 0) : extent,
  );
  return { name, shape, pieces, order };
}

/**
 * Checks that a tensor has a given type and shape.
 *
 * @param encodings - Those that will do.
 * @returns The tensor.
 * @throws {@link OssicleError} `format-invalid` where it is something else.
 */
export function checkTensor<E extends Encoding>(
  tensor: CheckpointTensor,
  encodings: readonly E[],
  shape: readonly number[],
): CheckpointTensor<E> {
  const { name, pieces } = tensor;
  const paths = [...new Set(pieces.map(({ path }) => path))].join(', ');
  for (const { name: published, encoding, path } of pieces) {
    if (encodings.some((known) => known === encoding)) continue;
    const alias = published === name ? '' : ` (${name})`;
    throw invalid(
      `${published}${alias} in ${path} is of type ${encoding}; ossicle reads ${encodings.join(', ')} there. ` +
        'Use the published checkpoint, or a GGUF file with MXFP4 experts and Q8_0, BF16, F16 or F32 for the rest.',
    );
  }
  if (tensor.shape.join() !== shape.join()) {
    throw invalid(
      `${name} in ${paths} is ${format(pieces[0]?.encoding, tensor.shape)}; ` +
        `the model's config asks for ${format(encodings.join(' or '), shape)}.`,
    );
  }
  return tensor as CheckpointTensor<E>;
}

/** The bytes of a tensor. */
export function tensorBytes({ pieces }: CheckpointTensor): number {
  return pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function format(encoding: string | undefined, shape: readonly number[]): string {
  return `${encoding} [${shape.join(', ')}]`;
}

function invalid(message: string): OssicleError {
  return new OssicleError('format-invalid', message);
}
