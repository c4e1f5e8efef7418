/** The products of tiled matmuls, and inputs that each multiplies exactly. */

import { PRODUCT_TILES } from '../src/kernels/shape.ts';

/** A `lib/product_*`. */
export type TestedProduct = 'narrow' | 'wide' | 'tall' | 'int8';

/** Every `lib/product_*`. */
export const TESTED_PRODUCTS: readonly TestedProduct[] = ['narrow', 'wide', 'tall', 'int8'];

/** The tile that a workgroup makes. */
export function tileOf(product: TestedProduct): (typeof PRODUCT_TILES)['wide'] {
  return PRODUCT_TILES[product === 'int8' ? 'wide' : product];
}

/**
 * Numbers that a product does not round. For `int8`, those of each 32 become multiples of a power of two, the largest of
 * them 127 times, except in blocks of zeros.
 */
export function inputsFor(product: TestedProduct | 'few', x: Float64Array): Float64Array {
  if (product !== 'int8') return x;
  const rounded = new Float64Array(x.length);
  for (let first = 0; first < x.length; first += 32) {
    const block = x.subarray(first, first + 32);
    const magnitudes = block.map(Math.abs);
    const largest = magnitudes.indexOf(Math.max(...magnitudes));
    const unit = 2 ** (Math.floor(Math.log2(magnitudes[largest] as number)) - 6);
    for (const [i, value] of block.entries()) {
      const most = i === largest ? 127 * Math.sign(value) : Math.round(value / unit);
      rounded[first + i] = unit * Math.max(-127, Math.min(127, most)) || 0;
    }
  }
  return rounded;
}
