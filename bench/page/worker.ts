// The stages of the visitors' page, off its main thread. Answers one call at a time.
import { StageHost } from '../stages/stage-host.ts';
import type { WorkerAnswer, WorkerCall } from './worker-side.ts';

const host = StageHost.start();
host.catch(() => undefined); // told to the first call

addEventListener('message', async ({ data }: MessageEvent<WorkerCall>) => {
  let answer: WorkerAnswer;
  try {
    const stages = await host;
    answer = { value: await call(stages, data) };
  } catch (error) {
    answer = { error: error instanceof Error ? error.message : String(error) };
  }
  postMessage(answer);
});

function call(host: StageHost, message: WorkerCall): unknown {
  switch (message[0]) {
    case 'adapter':
      return host.adapter;
    case 'open':
      return host.open(message[1], message[2], message[3]);
    case 'measure':
      return host.measure(message[1]);
    case 'close':
      return host.close();
  }
}
