/** A GPU that computes nothing and takes the time that its speed and a model's arithmetic imply, on its own clock. */

import { vi } from 'vitest';
import { planLoad } from '../src/engine/load/plan.ts';
import { Buffers } from '../src/gpu/buffers.ts';
import { Gpu } from '../src/gpu/device.ts';
import { Scheduler } from '../src/gpu/scheduler.ts';
import { attendTiledGrid } from '../src/kernels/shape.ts';
import { parseConfig } from '../src/model/config.ts';
import { createRuntime, type Runtime } from '../src/model/runtime.ts';
import { allocateWeights } from '../src/model/weights.ts';
import type { ModelConfig } from '../src/types/config.ts';
import { type Config, huggingFaceConfig } from './config.ts';

/** What a {@link ModelledGpu} can do. */
export interface ModelledSpeed {
  /** Of arithmetic, as far as kernels reach it. */
  readonly flopsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Whether it is the processor in truth. Default: false. */
  readonly isSoftware?: boolean;
}

/** The kernels that take time: those that read weights, keys and values. */
const HEAVY = /^(linear|out|qkv|expert_swiglu|expert_out|attend)(?!.*reduce)/;

/** Bytes of a weight with its share of the scale. */
const INT8_BYTES = 1 + 2 / 32;
const MXFP4_BYTES = (16 + 1) / 32;

/** A submit that the modelled GPU has done. */
export interface ModelledSubmit {
  readonly milliseconds: number;
  readonly dispatches: number;
}

interface Command {
  readonly label: string;
  readonly kernel: string;
  /** Workgroups of the second dimension. */
  readonly rows: number;
}

/** See the file's comment. */
export class ModelledGpu {
  /** Everything submitted so far, copies left out. */
  readonly submits: ModelledSubmit[] = [];
  /** Called after each submit. */
  onSubmit: () => void = () => undefined;
  readonly #json: Readonly<Record<string, unknown>>;
  readonly #config: ModelConfig;
  readonly #speed: ModelledSpeed;
  #busyUntilMs = 0;
  #nowMs = 0;
  #step = { position: 0, tokens: 1 };

  constructor(config: Config, speed: ModelledSpeed) {
    this.#json = JSON.parse(huggingFaceConfig(config));
    this.#config = parseConfig(this.#json);
    this.#speed = speed;
  }

  /** A loaded model on this GPU. */
  async runtime(contextLength: number): Promise<Runtime> {
    vi.stubGlobal('GPUBufferUsage', { STORAGE: 1, COPY_SRC: 2, COPY_DST: 4, UNIFORM: 8 });
    vi.stubGlobal('GPUShaderStage', { COMPUTE: 1 });
    vi.stubGlobal('GPUMapMode', { READ: 1 });
    const gpu = new Gpu(this.#device());
    const { config, shape } = planLoad(this.#json, { contextLength });
    const buffers = new Buffers(gpu, 'model');
    const { weights } = allocateWeights(config, buffers, 'int8', 2 ** 32);
    const runtime = await createRuntime(gpu, buffers, { config, shape }, weights);
    return { ...runtime, scheduler: new Scheduler(gpu, () => this.#nowMs) };
  }

  #device(): GPUDevice {
    const done = (): Promise<void> => {
      const endMs = this.#busyUntilMs;
      return new Promise((resolve) => {
        setImmediate(() => {
          this.#nowMs = Math.max(this.#nowMs, endMs);
          resolve();
        });
      });
    };
    return {
      features: new Set(),
      limits: { maxBufferSize: 2 ** 32, maxStorageBufferBindingSize: 2 ** 32 },
      adapterInfo: { isFallbackAdapter: this.#speed.isSoftware ?? false },
      lost: new Promise(() => undefined),
      addEventListener: () => undefined,
      removeEventListener: () => undefined,
      pushErrorScope: () => undefined,
      popErrorScope: async () => null,
      createBuffer: ({ label, size }: GPUBufferDescriptor) => ({
        label,
        size,
        destroy: () => undefined,
        mapAsync: done,
        getMappedRange: () => new ArrayBuffer(4),
        unmap: () => undefined,
      }),
      createShaderModule: () => ({ getCompilationInfo: async () => ({ messages: [] }) }),
      createBindGroupLayout: () => ({}),
      createPipelineLayout: () => ({}),
      createComputePipelineAsync: async ({ label }: { label: string }) => ({ label }),
      createBindGroup: ({ label }: { label: string }) => ({ label }),
      createCommandEncoder: () => {
        const commands: Command[] = [];
        let kernel = '';
        let label = '';
        return {
          beginComputePass: () => ({
            setPipeline: (pipeline: GPUComputePipeline) => {
              kernel = pipeline.label;
            },
            setBindGroup: (_: number, group: GPUBindGroup) => {
              label = group.label;
            },
            dispatchWorkgroups: (_: number, rows = 1) => commands.push({ label, kernel, rows }),
            end: () => undefined,
          }),
          copyBufferToBuffer: () => undefined,
          finish: () => commands,
        };
      },
      queue: {
        submit: ([commands]: [Command[]]) => {
          const milliseconds = commands.reduce((sum, command) => sum + this.#run(command), 0);
          this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#nowMs) + milliseconds;
          if (commands.length > 0) this.submits.push({ milliseconds, dispatches: commands.length });
          this.onSubmit();
        },
        writeBuffer: ({ label }: GPUBuffer, _: number, data: Uint32Array) => {
          if (label !== 'model/step') return;
          const [position = 0, tokens = 1] = data;
          this.#step = { position, tokens };
        },
        onSubmittedWorkDone: done,
      },
    } as unknown as GPUDevice;
  }

  /** The milliseconds of a dispatch. Counts every operation of the layer that its label names. */
  #run({ label, kernel, rows }: Command): number {
    const { position, tokens } = this.#step;
    if (kernel === 'sample') this.#step = { position: position + tokens, tokens: 1 };
    const { flops, bytes } = HEAVY.test(kernel)
      ? this.#work(label, tokens, position + tokens)
      : { flops: 0, bytes: 0 };
    // A part of a dispatch that is cut has a part of its tiles of tokens.
    const share = kernel === 'attend_tiled' ? rows / attendTiledGrid(this.#config, tokens)[1] : 1;
    const { flopsPerSecond, bytesPerSecond } = this.#speed;
    return 0.005 + 1000 * share * Math.max(flops / flopsPerSecond, bytes / bytesPerSecond);
  }

  #work(label: string, tokens: number, keys: number): { flops: number; bytes: number } {
    const { hiddenSize, intermediateSize, heads, kvHeads, vocabularySize } = this.#config;
    const { experts, expertsPerToken } = this.#config;
    const [, layer = '', name = label] = /block\.(\d+)\.(.*)/.exec(label) ?? [];
    const dense = (rows: number, columns: number, count = tokens) => ({
      flops: 2 * rows * columns * count,
      bytes: rows * columns * INT8_BYTES,
    });
    const slots = tokens * expertsPerToken;
    const sparse = (rows: number, columns: number) => ({
      flops: 2 * rows * columns * slots,
      bytes: rows * columns * MXFP4_BYTES * Math.min(slots, experts),
    });
    if (label.includes('unembedding')) return dense(vocabularySize, hiddenSize, 1);
    if (name.includes('qkv')) return dense((heads + 2 * kvHeads) * 64, hiddenSize);
    if (name.includes('out')) return dense(hiddenSize, heads * 64);
    if (name.includes('mlp1')) return sparse(2 * intermediateSize, hiddenSize);
    if (name.includes('mlp2')) return sparse(hiddenSize, intermediateSize);
    if (!name.includes('sinks')) throw new Error(`What does ${label} take?`);
    const isSliding = this.#config.slidingLayers[Number(layer)];
    const seen = isSliding ? Math.min(keys, this.#config.slidingWindow) : keys;
    return { flops: 4 * heads * 64 * seen * tokens, bytes: 2 * kvHeads * 64 * 2 * seen };
  }
}
