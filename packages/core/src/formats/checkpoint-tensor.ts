import { formatInvalid, OssicleError } from '../errors.ts';
import type { FileRange } from '../sources/byte-source.ts';
import type { GgmlType } from './ggml-types.ts';
import type { Dtype } from './safetensors.ts';

/** How a file stores a tensor's elements: a dtype of safetensors or a type of ggml. */
export type Encoding = Dtype | GgmlType;

/** A tensor as a file declares it. */
export interface PublishedTensor<E extends Encoding = Encoding> extends FileRange {
  readonly name: string;
  readonly encoding: E;
  /** Its extents, outermost first. */
  readonly shape: readonly number[];
}

/** A tensor of OpenAI's original layout, joined from the tensors of a checkpoint. */
export interface CheckpointTensor<E extends Encoding = Encoding> {
  /** Its name in the original layout. */
  readonly name: string;
  /** Its extents, outermost first. */
  readonly shape: readonly number[];
  readonly pieces: readonly PublishedTensor<E>[];
  /** How the pieces join: concatenated along the first dimension, or interleaved along the second (gate and up rows). */
  readonly order: 'consecutive' | 'alternating';
}

/** A matrix of all experts, [experts, rows, columns], as a checkpoint stores it. */
export type CheckpointExperts =
  /** MXFP4 as published: blocks [experts, rows, columns / 32, 16] and scales [experts, rows, columns / 32], both U8. */
  | {
      readonly form: 'blocks-and-scales';
      readonly blocks: CheckpointTensor;
      readonly scales: CheckpointTensor;
    }
  /** `rows`: [experts, rows, columns], in GGUF. `columns`: [experts, columns, rows], as transformers unpacks them. */
  | { readonly form: 'rows' | 'columns'; readonly weight: CheckpointTensor };

/**
 * Joins published tensors into one of the original layout.
 *
 * @throws {@link OssicleError} `format-invalid` if their shapes do not match.
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
      throw formatInvalid(
        `${piece.name} in ${piece.path} is ${format(piece.encoding, piece.shape)}, which does not match ` +
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
 * Checks that a tensor has one of several encodings and the given shape, and returns it.
 *
 * @throws {@link OssicleError} `format-unsupported` if it has another encoding, `format-invalid` if another shape.
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
    throw new OssicleError(
      'format-unsupported',
      `${published}${alias} in ${path} is of type ${encoding}; ossicle reads ${encodings.join(', ')} there. ` +
        'Use the published checkpoint, or a GGUF file with MXFP4 experts and Q8_0, BF16, F16 or F32 for the rest.',
    );
  }
  if (tensor.shape.join() !== shape.join()) {
    throw formatInvalid(
      `${name} in ${paths} is ${format(pieces[0]?.encoding, tensor.shape)}; ` +
        `the model's config asks for ${format(encodings.join(' or '), shape)}.`,
    );
  }
  return tensor as CheckpointTensor<E>;
}

/** The size of a tensor in bytes. */
export function tensorBytes({ pieces }: CheckpointTensor): number {
  return pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function format(encoding: string | undefined, shape: readonly number[]): string {
  return `${encoding} [${shape.join(', ')}]`;
}
