/** Names in records → the WebGPU methods that cost a page time in every decode step. */
const COUNTED = {
  dispatches: 'dispatchWorkgroups',
  passes: 'beginComputePass',
  submits: 'submit',
  'buffer writes': 'writeBuffer',
  'bind groups made': 'createBindGroup',
  'buffers made': 'createBuffer',
} as const;

/** How often each kind of WebGPU call was made. */
export type CallCounts = Readonly<Record<keyof typeof COUNTED, number>>;

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Counts the WebGPU calls of this thread while `work` runs. */
export async function countCalls(work: () => Promise<unknown>): Promise<CallCounts> {
  const prototypes: object[] = [
    GPUComputePassEncoder.prototype,
    GPUCommandEncoder.prototype,
    GPUQueue.prototype,
    GPUDevice.prototype,
  ];
  const counts = new Map<string, number>();
  const restore: (() => void)[] = [];
  for (const [name, method] of Object.entries(COUNTED)) {
    counts.set(name, 0);
    const prototype = prototypes.find((each) => method in each) as Record<string, Method>;
    const original = prototype[method] as Method;
    prototype[method] = function (...args) {
      counts.set(name, (counts.get(name) as number) + 1);
      return original.apply(this, args);
    };
    restore.push(() => {
      prototype[method] = original;
    });
  }
  try {
    await work();
  } finally {
    for (const undo of restore) undo();
  }
  return Object.fromEntries(counts) as CallCounts;
}
