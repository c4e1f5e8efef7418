import { messageOf, OssicleError } from '../errors.ts';
import type { Gpu } from './device.ts';

/** One WGSL file of a kernel. */
export interface ShaderFile {
  /** The file's path below `shaders/`; compile errors name it. */
  readonly path: string;
  /** Its text. */
  readonly wgsl: string;
}

/** What a compute pipeline is made from. */
export interface KernelSource {
  /** The entry point's name; it labels the pipeline, its bind groups and its profiler rows. */
  readonly entryPoint: string;
  /** The files, in any order: WGSL's module-scope declarations do not depend on it. */
  readonly files: readonly ShaderFile[];
  /** Values for the shader's `override` declarations. */
  readonly constants?: Readonly<Record<string, number>>;
}

/** What limits how long a dispatch takes; small things are left out. */
export interface Cost {
  /** Floating-point operations; a multiplication with an addition counts as two. */
  readonly flops: number;
  /** Bytes of weights, keys and values that come from the GPU's memory. */
  readonly bytes: number;
  /** If the cost grows with the keys that attention sees: for how many of them the numbers are. */
  readonly keys?: number;
}

/** One dispatch, ready to be encoded any number of times. */
export interface Dispatch {
  /** The weights that it reads, or what it computes; for errors and the profiler. */
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [x: number, y: number, z: number];
  /** If the grid's second dimension covers a sequence that grows: the elements of it per workgroup. */
  readonly elementsPerWorkgroup?: number;
  /**
   * Makes a dispatch of a part of the grid, a range of its second dimension, if the kernel can do one: for dispatches that
   * would take too long. The parts may run in any order.
   */
  readonly cut?: (first: number, count: number) => Dispatch;
  /** If absent, it takes next to no time. */
  readonly cost?: Cost;
}

/** What a binding is bound to: a buffer, or a part of one. `arrayLength` in the shader is the part's. */
export type Resource = GPUBuffer | GPUBufferBinding;

interface Declaration {
  readonly name: string;
  readonly binding: number;
  readonly type: GPUBufferBindingType;
}

/** A compiled compute pipeline, and the names of its bindings. */
export class Kernel {
  readonly #device: GPUDevice;
  readonly #pipeline: GPUComputePipeline;
  readonly #layout: GPUBindGroupLayout;
  readonly #declarations: readonly Declaration[];
  readonly #bindGroups = new BindGroups();

  private constructor(
    device: GPUDevice,
    pipeline: GPUComputePipeline,
    layout: GPUBindGroupLayout,
    declarations: readonly Declaration[],
  ) {
    this.#device = device;
    this.#pipeline = pipeline;
    this.#layout = layout;
    this.#declarations = declarations;
  }

  /** The entry point's name. */
  get label(): string {
    return this.#pipeline.label;
  }

  /**
   * Compiles a kernel.
   *
   * @throws {@link OssicleError} `gpu-error` with the compiler's message, file and line.
   */
  static async compile(
    gpu: Gpu,
    { entryPoint, files, constants = {} }: KernelSource,
  ): Promise<Kernel> {
    const { device } = gpu;
    const lines = joinLines(files);
    const code = lines.map(({ text }) => text).join('\n');
    const declarations = parseDeclarations(code);
    // A module that does not compile is also a validation error, which would count as the device's. The compilation info
    // says more.
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label: entryPoint, code });
    void device.popErrorScope().catch(() => undefined);
    const { messages } = await gpu.settle(module.getCompilationInfo());
    const error = messages.find(({ type }) => type === 'error');
    if (error) {
      const at = lines[error.lineNum - 1];
      const place = at ? `shaders/${at.path}:${at.line}` : entryPoint;
      throw new OssicleError('gpu-error', `${place}: ${error.message}\n${at?.text ?? ''}`);
    }
    const layout = device.createBindGroupLayout({
      label: entryPoint,
      entries: declarations.map(({ binding, type }) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type },
      })),
    });
    try {
      const pipeline = await gpu.settle(
        device.createComputePipelineAsync({
          label: entryPoint,
          layout: device.createPipelineLayout({ label: entryPoint, bindGroupLayouts: [layout] }),
          compute: { module, entryPoint, constants: { ...constants } },
        }),
      );
      return new Kernel(device, pipeline, layout, declarations);
    } catch (cause) {
      gpu.check();
      throw new OssicleError(
        'gpu-error',
        `The kernel ${entryPoint} did not compile with ${JSON.stringify(constants)}: ` +
          messageOf(cause),
        { cause },
      );
    }
  }

  /**
   * Binds resources by the names that the shader gives them. The same resources share a bind group.
   *
   * @param label - See {@link Dispatch.label}; for example `block.3.attn.qkv.weight`.
   * @throws TypeError if the names differ from the shader's.
   */
  dispatch(
    label: string,
    resources: Readonly<Record<string, Resource>>,
    [x, y = 1, z = 1]: readonly [x: number, y?: number, z?: number],
    cost?: Cost,
  ): Dispatch {
    const names = Object.keys(resources);
    if (
      names.length !== this.#declarations.length ||
      !this.#declarations.every(({ name }) => name in resources)
    ) {
      const declared = this.#declarations.map(({ name }) => name);
      throw new TypeError(
        `${this.label}: the shader binds [${declared.join(', ')}], the caller [${names.join(', ')}]`,
      );
    }
    const bindings = this.#declarations.map(({ name }): GPUBufferBinding => {
      const resource = resources[name] as Resource;
      return 'buffer' in resource ? resource : { buffer: resource };
    });
    const bindGroup = this.#bindGroups.get(bindings, () =>
      this.#device.createBindGroup({
        label,
        layout: this.#layout,
        entries: this.#declarations.map(({ binding }, i) => ({
          binding,
          resource: bindings[i] as GPUBufferBinding,
        })),
      }),
    );
    return {
      label,
      pipeline: this.#pipeline,
      bindGroup,
      workgroups: [x, y, z],
      ...(cost && { cost }),
    };
  }
}

/** Bind groups by the buffers that they bind. They go when one of the buffers does. */
class BindGroups {
  readonly #groups = new Map<string, GPUBindGroup>();
  readonly #next = new WeakMap<GPUBuffer, BindGroups>();

  get(bindings: readonly GPUBufferBinding[], create: () => GPUBindGroup): GPUBindGroup {
    let last: BindGroups = this;
    for (const { buffer } of bindings) {
      const next = last.#next.get(buffer) ?? new BindGroups();
      last.#next.set(buffer, next);
      last = next;
    }
    const ranges = bindings.map(({ offset = 0, size = '' }) => `${offset}:${size}`).join();
    const group = last.#groups.get(ranges) ?? create();
    last.#groups.set(ranges, group);
    return group;
  }
}

const BINDING =
  /@group\(0\)\s*@binding\((\d+)\)\s*var<(uniform|storage)(?:,\s*(read_write|read))?>\s*(\w+)/g;

function parseDeclarations(wgsl: string): Declaration[] {
  const code = wgsl.replace(/\/\/.*$/gm, '');
  return [...code.matchAll(BINDING)]
    .map(([, binding, space, access, name]) => ({
      name: name as string,
      binding: Number(binding),
      type: bindingType(space as string, access),
    }))
    .sort((a, b) => a.binding - b.binding);
}

function bindingType(space: string, access: string | undefined): GPUBufferBindingType {
  if (space === 'uniform') return 'uniform';
  return access === 'read_write' ? 'storage' : 'read-only-storage';
}

/** A line of the module, and where it comes from. */
interface ShaderLine {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

/** The lines of all files; directives first, as WGSL demands. */
function joinLines(files: readonly ShaderFile[]): ShaderLine[] {
  const lines = files.flatMap(({ path, wgsl }) =>
    wgsl.split('\n').map((text, i) => ({ path, line: i + 1, text })),
  );
  const isDirective = ({ text }: ShaderLine): boolean => /^(enable|requires)\s/.test(text);
  return [...lines.filter(isDirective), ...lines.filter((line) => !isDirective(line))];
}
