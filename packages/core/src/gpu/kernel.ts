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
  /** The files, in any order: module-scope declarations see each other wherever they stand. */
  readonly files: readonly ShaderFile[];
  /** Values for the shader's `override` declarations. */
  readonly constants?: Readonly<Record<string, number>>;
}

/** One dispatch, ready to be encoded as often as wanted. */
export interface Dispatch {
  /** What it computes, for errors and the profiler. */
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [x: number, y: number, z: number];
  /** Where the grid's second dimension covers a sequence that grows: how many of its elements a workgroup takes. */
  readonly elementsPerWorkgroup?: number;
}

/** What a kernel's name is bound to: a buffer, or a part of one. `arrayLength` in the shader is the part's. */
export type Resource = GPUBuffer | GPUBufferBinding;

interface Declaration {
  readonly name: string;
  readonly binding: number;
  readonly type: GPUBufferBindingType;
}

/** A compiled compute pipeline with the names that its shader gives to its bindings. */
export class Kernel {
  /** The entry point's name. */
  readonly label: string;
  readonly #device: GPUDevice;
  readonly #pipeline: GPUComputePipeline;
  readonly #layout: GPUBindGroupLayout;
  readonly #declarations: readonly Declaration[];

  private constructor(
    device: GPUDevice,
    label: string,
    pipeline: GPUComputePipeline,
    layout: GPUBindGroupLayout,
    declarations: readonly Declaration[],
  ) {
    this.#device = device;
    this.label = label;
    this.#pipeline = pipeline;
    this.#layout = layout;
    this.#declarations = declarations;
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
    const code = files.map(({ wgsl }) => wgsl).join('\n');
    const declarations = parseDeclarations(code);
    // A module that does not compile is a validation error, too, which would count as the device's. What went wrong is in
    // the compilation info.
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label: entryPoint, code });
    void device.popErrorScope().catch(() => undefined);
    const { messages } = await gpu.settle(module.getCompilationInfo());
    const error = messages.find(({ type }) => type === 'error');
    if (error) {
      const { path, line, text } = locate(files, error.lineNum);
      throw new OssicleError('gpu-error', `shaders/${path}:${line}: ${error.message}\n${text}`);
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
      return new Kernel(device, entryPoint, pipeline, layout, declarations);
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
   * Binds resources by the names that the shader gives them.
   *
   * @param label - What the dispatch computes, for example `block.3.attn.qkv`.
   * @throws TypeError where the names differ from the shader's.
   */
  dispatch(
    label: string,
    resources: Readonly<Record<string, Resource>>,
    [x, y = 1, z = 1]: readonly [x: number, y?: number, z?: number],
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
    const bindGroup = this.#device.createBindGroup({
      label,
      layout: this.#layout,
      entries: this.#declarations.map(({ name, binding }) => {
        const resource = resources[name] as Resource;
        return { binding, resource: 'buffer' in resource ? resource : { buffer: resource } };
      }),
    });
    return { label, pipeline: this.#pipeline, bindGroup, workgroups: [x, y, z] };
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

/** The file and line of a line of the joined text. */
function locate(
  files: readonly ShaderFile[],
  joinedLine: number,
): { path: string; line: number; text: string } {
  let line = joinedLine;
  for (const { path, wgsl } of files) {
    const lines = wgsl.split('\n');
    if (line <= lines.length) return { path, line, text: lines[line - 1] ?? '' };
    line -= lines.length;
  }
  return { path: files[0]?.path ?? '', line: joinedLine, text: '' };
}
