import { describe, expect, test } from 'vitest';
import { kernelSource, shaderConstant } from './shaders.ts';

function pathsOf(name: string, libraries: Readonly<Record<string, string>> = {}): string[] {
  return kernelSource(name, { libraries }).files.map(({ path }) => path);
}

const FILES = new Map([
  ['scale', '// import: shift\n@compute @workgroup_size(1)\nfn scale() {}'],
  ['scale_f16', '// import: shift\nenable f16;\n@compute @workgroup_size(1)\nfn scale() {}'],
  ['scale_both', 'enable f16;\nenable subgroups;\n@compute @workgroup_size(1)\nfn scale() {}'],
  ['lib/shift', ''],
  ['lib/shift_subgroups', 'enable subgroups;'],
]);
const VARIANTS = { scale: ['scale_both', 'scale_f16'], 'lib/shift': ['lib/shift_subgroups'] };

describe('a variant', () => {
  test.each([
    { features: [], paths: ['scale', 'lib/shift'] },
    { features: ['subgroups'], paths: ['scale', 'lib/shift_subgroups'] },
    { features: ['shader-f16'], paths: ['scale_f16', 'lib/shift'] },
    { features: ['shader-f16', 'subgroups', 'timestamp-query'], paths: ['scale_both'] },
  ])('replaces a file if the device has $features', ({ features, paths }) => {
    const shaders = { files: FILES, variants: VARIANTS };
    const { entryPoint, files } = kernelSource('scale', { features: new Set(features) }, shaders);
    expect(files.map(({ path }) => path)).toEqual(paths.map((path) => `${path}.wgsl`));
    expect(entryPoint).toBe('scale');
  });

  test('requested by its own name has the entry point of the kernel it replaces', () => {
    expect(kernelSource('scale_f16', {}, { files: FILES, variants: {} }).entryPoint).toBe('scale');
  });
});

describe('a kernel', () => {
  test('includes the imports of its libraries, each file once', () => {
    expect(pathsOf('linear_tiled', { dense: 'int8', halves: 'exact', product: 'wide' })).toEqual([
      'linear_tiled.wgsl',
      'lib/dense_int8.wgsl',
      'lib/halves_exact.wgsl',
      'lib/f16.wgsl',
      'lib/tile.wgsl',
      'lib/product_wide.wgsl',
      'lib/wide_tile.wgsl',
      'lib/step.wgsl',
    ]);
  });

  test('gets the chosen library for an interface, also within its libraries', () => {
    const paths = pathsOf('repack_int8', { int8: 'quantized', rows: 'f16' });
    expect(paths).toEqual(expect.arrayContaining(['lib/int8_quantized.wgsl', 'lib/rows_f16.wgsl']));
    expect(paths).toHaveLength(new Set(paths).size);
  });

  test('without a library for an interface throws an error', () => {
    expect(() => kernelSource('linear')).toThrow('There is no shaders/lib/dense.wgsl');
  });

  test('without a file throws an error', () => {
    expect(() => kernelSource('teleport')).toThrow('There is no shaders/teleport.wgsl');
  });
});

test('shaderConstant returns the literal in the file', () => {
  expect(shaderConstant('lib/head', 'HEAD_SIZE')).toBe(64);
  expect(shaderConstant('lib/q8_0', 'Q8_0_BYTES')).toBe(34);
});

test('shaderConstant throws if the constant is missing or not a literal', () => {
  expect(() => shaderConstant('lib/head', 'HEAD_QUADS')).toThrow(
    'lib/head.wgsl declares no literal HEAD_QUADS',
  );
  expect(() => shaderConstant('lib/head', 'TAIL')).toThrow('TAIL');
});
