// A worker that takes a hash further by one chunk. Everything it needs comes with the message, and goes back.
import { advanceHash, type HashStep } from './hash-step.ts';

addEventListener('message', ({ data }: MessageEvent<HashStep>) => {
  const result = advanceHash(data);
  postMessage({ result, bytes: data.bytes }, { transfer: [data.bytes.buffer] });
});
postMessage('ready');
