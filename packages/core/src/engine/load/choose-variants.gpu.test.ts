import { expect } from 'vitest';
import { createCheckpoint } from '../../../test/checkpoint.ts';
import { loadRuntime, SMALL } from '../../../test/engine.ts';
import { gpuTest, type TestGpu } from '../../../test/gpu.ts';
import { SHADERS, type Shaders, withoutVariants } from '../../kernels/shaders.ts';
import type { Runtime } from '../../model/runtime.ts';
import type { VariantChoice } from '../../types/diagnosis.ts';
import { chooseVariants } from './choose-variants.ts';

/** The library's kernels with two variants that do nothing else, and a third that is wrong. */
const THREE: Shaders = {
  files: new Map([
    ...SHADERS.files,
    ['lib/tile_same', SHADERS.files.get('lib/tile') as string],
    ['lib/head_same', SHADERS.files.get('lib/head') as string],
    [
      'lib/swiglu_wrong',
      (SHADERS.files.get('lib/swiglu') as string).replace('(up + 1)', '(up + 2)'),
    ],
  ]),
  variants: {
    'lib/tile': ['lib/tile_same'],
    'lib/head': ['lib/head_same'],
    'lib/swiglu': ['lib/swiglu_wrong'],
  },
};

async function runtimeWith({ gpu, buffers }: TestGpu, shaders: Shaders): Promise<Runtime> {
  const { files } = createCheckpoint(SMALL);
  const runtime = await loadRuntime(gpu, buffers, files, { contextLength: 64 });
  return runtime.recompile(shaders);
}

gpuTest('the first load times the variants that are right', async (gpu) => {
  const runtime = await runtimeWith(gpu, THREE);
  const { choices } = await chooseVariants(runtime, { shaders: THREE, key: 'key' }, {});
  const [tile, head, swiglu] = choices;
  expect(tile).toMatchObject({ variant: 'lib/tile_same' });
  expect(tile?.choice).not.toBe('wrong');
  expect(head?.choice).not.toBe('wrong');
  expect(swiglu).toEqual({ variant: 'lib/swiglu_wrong', choice: 'wrong' });
});

gpuTest('a load that must not tune uses all variants that are right', async (gpu) => {
  const runtime = await runtimeWith(gpu, THREE);
  const remembered = { shaders: THREE, key: 'key' };
  const { choices } = await chooseVariants(runtime, remembered, { tune: false });
  expect(choices).toEqual([
    { variant: 'lib/tile_same', choice: 'used' },
    { variant: 'lib/head_same', choice: 'used' },
    { variant: 'lib/swiglu_wrong', choice: 'wrong' },
  ]);
});

gpuTest('a later load times nothing, and still proves what it uses', async (gpu) => {
  const choices: readonly VariantChoice[] = [
    { variant: 'lib/tile_same', choice: 'slower', milliseconds: { used: 2, unused: 1 } },
    { variant: 'lib/head_same', choice: 'used', milliseconds: { used: 1, unused: 2 } },
    { variant: 'lib/swiglu_wrong', choice: 'used' },
  ];
  const shaders = withoutVariants(THREE, ['lib/tile_same']);
  const runtime = await runtimeWith(gpu, shaders);
  const chosen = await chooseVariants(runtime, { shaders, choices, key: 'key' }, {});
  expect(chosen.choices).toEqual([choices[0], choices[1], { ...choices[2], choice: 'wrong' }]);
  expect(chosen.runtime.shaders.variants).toEqual({
    'lib/tile': [],
    'lib/head': ['lib/head_same'],
    'lib/swiglu': [],
  });
});
