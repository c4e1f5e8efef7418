import { describe, expect, test } from 'vitest';
import { kernelSource, shaderConstant } from './shaders.ts';

function pathsOf(name: string, libraries: Readonly<Record<string, string>> = {}): string[] {
  return kernelSource(name, { libraries }).files.map(({ path }) => path);
}

describe('a kernel', () => {
  test('comes with what its libraries import, each file once', () => {
    expect(pathsOf('linear_tiled', { dense: 'int8' })).toEqual([
      'linear_tiled.wgsl',
      'lib/dense_int8.wgsl',
      'lib/f16.wgsl',
      'lib/tile.wgsl',
      'lib/tile_product.wgsl',
    ]);
  });

  test('has the library that stands for an interface, for its own libraries too', () => {
    const paths = pathsOf('repack_int8', { int8: 'quantized', rows: 'f16' });
    expect(paths).toEqual(expect.arrayContaining(['lib/int8_quantized.wgsl', 'lib/rows_f16.wgsl']));
    expect(paths).toHaveLength(new Set(paths).size);
  });

  test('whose interface nothing stands for is an error', () => {
    expect(() => kernelSource('linear')).toThrow('There is no shaders/lib/dense.wgsl');
  });

  test('that is no file is an error', () => {
    expect(() => kernelSource('teleport')).toThrow('There is no shaders/teleport.wgsl');
  });
});

test('a constant is what its file says', () => {
  expect(shaderConstant('lib/head', 'HEAD_SIZE')).toBe(64);
  expect(shaderConstant('lib/q8_0', 'Q8_0_BYTES')).toBe(34);
});

test('a constant that is not a literal, or not there, is an error', () => {
  expect(() => shaderConstant('lib/head', 'HEAD_QUADS')).toThrow(
    'lib/head.wgsl declares no literal HEAD_QUADS',
  );
  expect(() => shaderConstant('lib/head', 'TAIL')).toThrow('TAIL');
});
