import { describe, expect } from 'vitest';
import { gpuTest } from '../../test/gpu.ts';
import { Kernel, type ShaderFile } from './kernel.ts';

const SCALE: ShaderFile = {
  path: 'scale.wgsl',
  wgsl: `// y = x * FACTOR + shift
override FACTOR: f32 = 2;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
// @group(0) @binding(3) var<storage, read> unused: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(4)
fn scale(@builtin(global_invocation_id) id: vec3u) {
  y[id.x] = x[id.x] * FACTOR + shift(params);
}
`,
};

const PARAMS: ShaderFile = {
  path: 'lib/params.wgsl',
  wgsl: `struct Params {
  shift: f32,
}

fn shift(params: Params) -> f32 {
  return params.shift;
}
`,
};

describe('a kernel', () => {
  gpuTest('makes one bind group for the same buffers and ranges', async (gpu) => {
    const kernel = await Kernel.compile(gpu.gpu, { entryPoint: 'scale', files: [SCALE, PARAMS] });
    const params = gpu.buffers.params(0);
    const [x, y] = [gpu.empty(256), gpu.empty(256)];
    const bind = (resources: object) =>
      kernel.dispatch('scale', { params, x, y, ...resources }, [1]).bindGroup;
    const first = bind({});
    expect(bind({})).toBe(first);
    expect(bind({ x: { buffer: x } })).toBe(first);
    const others = [
      bind({ x: gpu.empty(256) }),
      bind({ x: { buffer: x, size: 64 } }),
      bind({ x: { buffer: x, offset: 256, size: 64 } }),
      bind({ y: { buffer: y, size: 64 } }),
    ];
    expect(new Set([first, ...others]).size).toBe(5);
  });

  gpuTest('of several files computes with its constants and buffers', async (gpu) => {
    const source = { entryPoint: 'scale', files: [SCALE, PARAMS], constants: { FACTOR: 3 } };
    const kernel = await Kernel.compile(gpu.gpu, source);
    expect(kernel.label).toBe('scale');
    const params = gpu.buffers.params(0x3f800000); // 1f
    const y = gpu.empty(8);
    const x = gpu.upload(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    gpu.run(kernel.dispatch('all', { params, x, y }, [2]));
    expect([...(await gpu.floats(y))]).toEqual([4, 7, 10, 13, 16, 19, 22, 25]);
  });

  gpuTest('that does not compile fails with file, line and source text', async (gpu) => {
    const files = [SCALE, { ...PARAMS, wgsl: PARAMS.wgsl.replace('params.shift', 'params.shft') }];
    const compiling = Kernel.compile(gpu.gpu, { entryPoint: 'scale', files });
    await expect(compiling).rejects.toMatchObject({ code: 'gpu-error' });
    await expect(compiling).rejects.toThrow(/^shaders\/lib\/params\.wgsl:6: .*shft/);
    await expect(compiling).rejects.toThrow(/return params\.shft;/);
    const first = [{ ...SCALE, wgsl: SCALE.wgsl.replace('id.x] *', 'id.q] *') }, PARAMS];
    const other = Kernel.compile(gpu.gpu, { entryPoint: 'scale', files: first });
    await expect(other).rejects.toThrow(/^shaders\/scale\.wgsl:10: /);
    gpu.gpu.check(); // the device remains usable
  });

  gpuTest('has the directives of all its files, and errors keep their lines', async (gpu) => {
    const directive = 'requires packed_4x8_integer_dot_product;';
    const library = { ...PARAMS, wgsl: `// A shift.\n${directive}\n${PARAMS.wgsl}` };
    const kernel = await Kernel.compile(gpu.gpu, { entryPoint: 'scale', files: [SCALE, library] });
    expect(kernel.label).toBe('scale');
    for (const [part, place] of [
      [directive, 2],
      ['return params.shift', 8],
    ] as const) {
      const files = [SCALE, { ...library, wgsl: library.wgsl.replace(part, 'requires teleport') }];
      const compiling = Kernel.compile(gpu.gpu, { entryPoint: 'scale', files });
      await expect(compiling).rejects.toThrow(`shaders/lib/params.wgsl:${place}: `);
    }
  });

  gpuTest('with an unknown constant or entry point fails with its name', async (gpu) => {
    const files = [SCALE, PARAMS];
    const unknown = Kernel.compile(gpu.gpu, {
      entryPoint: 'scale',
      files,
      constants: { FACTR: 3 },
    });
    await expect(unknown).rejects.toMatchObject({ code: 'gpu-error' });
    await expect(unknown).rejects.toThrow(/scale did not compile with \{"FACTR":3\}: /);
    const missing = Kernel.compile(gpu.gpu, { entryPoint: 'scales', files });
    await expect(missing).rejects.toThrow(/The kernel scales did not compile/);
    gpu.gpu.check();
  });

  gpuTest('rejects buffers whose names differ from the shader’s', async (gpu) => {
    const kernel = await Kernel.compile(gpu.gpu, { entryPoint: 'scale', files: [SCALE, PARAMS] });
    const params = gpu.buffers.params(0);
    const [x, y] = [gpu.empty(4), gpu.empty(4)];
    for (const resources of [{ x, y }, { params, x, z: y }, { params, x, y, z: y }, {}]) {
      const names = Object.keys(resources).join(', ');
      const dispatch = () => kernel.dispatch('wrong', resources as Record<string, GPUBuffer>, [1]);
      expect(dispatch).toThrow(TypeError);
      expect(dispatch).toThrow(`scale: the shader binds [params, x, y], the caller [${names}]`);
    }
  });
});
