/** The same structure with a number for each buffer, such as its bytes. */
export type Sizes<T> = T extends GPUBuffer ? number : { readonly [K in keyof T]: Sizes<T[K]> };

/** Numbers in any structure. */
export type NumberTree = number | { readonly [name: string]: NumberTree } | readonly NumberTree[];

/** Creates a buffer of each size, labelled by its path: `splits.out`. */
export function mapSizes<T>(
  sizes: Sizes<T>,
  create: (label: string, size: number) => GPUBuffer,
  path = '',
): T {
  if (typeof sizes === 'number') return create(path, sizes) as T;
  const entries = Object.entries(sizes as { readonly [name: string]: Sizes<unknown> });
  const prefix = path === '' ? '' : `${path}.`;
  return Object.fromEntries(
    entries.map(([name, size]) => [name, mapSizes(size, create, prefix + name)]),
  ) as T;
}

/** The sum of all numbers. */
export function sum(tree: NumberTree): number {
  if (typeof tree === 'number') return tree;
  return Object.values(tree).reduce((total: number, part: NumberTree) => total + sum(part), 0);
}

/** The largest of all numbers. */
export function largest(tree: NumberTree): number {
  return typeof tree === 'number' ? tree : Math.max(...Object.values(tree).map(largest));
}

/** The product of extents. */
export function product(extents: readonly number[]): number {
  return extents.reduce((total, extent) => total * extent, 1);
}
