/** WebGPU's numbers for usages, modes and stages, where there is no WebGPU. */
const CONSTANTS = {
  GPUBufferUsage: {
    MAP_READ: 1,
    MAP_WRITE: 2,
    COPY_SRC: 4,
    COPY_DST: 8,
    UNIFORM: 64,
    STORAGE: 128,
    INDIRECT: 256,
    QUERY_RESOLVE: 512,
  },
  GPUMapMode: { READ: 1, WRITE: 2 },
  GPUShaderStage: { COMPUTE: 4 },
} as const;

/** Invocations of a workgroup of each pipeline that {@link planningDevice} made. */
const THREADS = new WeakMap<GPUComputePipeline, number>();

/**
 * A device that allocates, compiles and runs nothing: enough to plan the passes of a model of any size. What is read back
 * is zero, so that probes of the GPU find nothing that needs a variant.
 */
export function planningDevice(maxBindingBytes: number): GPUDevice {
  for (const [name, value] of Object.entries(CONSTANTS)) {
    if (!(name in globalThis)) Object.assign(globalThis, { [name]: value });
  }
  const device = {
    limits: { maxBufferSize: 2 ** 40, maxStorageBufferBindingSize: maxBindingBytes },
    features: new Set(['shader-f16', 'subgroups']),
    lost: new Promise(() => undefined),
    adapterInfo: {},
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    pushErrorScope: () => undefined,
    popErrorScope: async () => null,
    createBuffer: (descriptor: GPUBufferDescriptor) => ({
      ...descriptor,
      destroy: () => undefined,
      mapAsync: async () => undefined,
      getMappedRange: () => new ArrayBuffer(descriptor.size),
      unmap: () => undefined,
    }),
    createShaderModule: ({ code }: GPUShaderModuleDescriptor) => ({
      code,
      getCompilationInfo: async () => ({ messages: [] }),
    }),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createBindGroup: () => ({}),
    createComputePipelineAsync: async ({ label, compute }: GPUComputePipelineDescriptor) => {
      const pipeline = { label } as GPUComputePipeline;
      const { code } = compute.module as GPUShaderModule & { readonly code: string };
      THREADS.set(pipeline, workgroupSize(code, compute.constants ?? {}));
      return pipeline;
    },
    createCommandEncoder: idle,
    queue: {
      writeBuffer: () => undefined,
      submit: () => undefined,
      onSubmittedWorkDone: async () => undefined,
    },
  };
  return device as unknown as GPUDevice;
}

/** An object all of whose methods do nothing, and return another one. */
function idle(): object {
  return new Proxy({}, { get: () => idle });
}

/** Invocations of a workgroup of a pipeline of a {@link planningDevice}. */
export function threadsOf(pipeline: GPUComputePipeline): number {
  const threads = THREADS.get(pipeline);
  if (threads === undefined) throw new Error(`${pipeline.label} was not made for planning`);
  return threads;
}

/** Evaluates `@workgroup_size(ROWS * SPLITS)` with the values of overrides and constants. */
function workgroupSize(wgsl: string, overrides: Readonly<Record<string, number>>): number {
  const lookUp = (name: string): number => {
    const literal = /^(\d+)u?$/.exec(name)?.[1];
    if (literal !== undefined) return Number(literal);
    const given = overrides[name];
    if (given !== undefined) return given;
    const declaration = new RegExp(`^(?:override|const) ${name}(?:: u32)? = ([^;]+);`, 'm');
    const value = declaration.exec(wgsl)?.[1];
    if (value === undefined) throw new Error(`The shader declares no ${name} = ...`);
    return evaluate(value, lookUp);
  };
  const sizes = /@compute\s+@workgroup_size\((.*)\)\s*$/m.exec(wgsl)?.[1]?.split(',') ?? [];
  return sizes.reduce((product, size) => product * evaluate(size, lookUp), 1);
}

/** The value of an expression of whole numbers and names, with `+ - * /` and parentheses. */
function evaluate(expression: string, lookUp: (name: string) => number): number {
  const tokens = expression.match(/\w+|[-+*/()]/g) ?? [];
  const operand = (): number => {
    const token = tokens.shift() ?? '';
    if (token !== '(') return lookUp(token);
    const value = sum();
    tokens.shift();
    return value;
  };
  const product = (): number => {
    let value = operand();
    while (tokens[0] === '*' || tokens[0] === '/') {
      value = tokens.shift() === '*' ? value * operand() : Math.floor(value / operand());
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    while (tokens[0] === '+' || tokens[0] === '-') {
      value += tokens.shift() === '+' ? product() : -product();
    }
    return value;
  };
  return sum();
}
