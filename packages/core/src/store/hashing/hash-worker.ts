// The worker of HashThread. Each message brings all it needs, memory included, and its answer returns the memory.
import { advanceHash, type HashStep } from './hash-step.ts';

addEventListener('message', ({ data }: MessageEvent<HashStep>) => {
  const result = advanceHash(data);
  postMessage({ result, bytes: data.bytes }, { transfer: [data.bytes.buffer] });
});
postMessage('ready');
