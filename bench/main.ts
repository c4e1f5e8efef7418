// Entry of one side: the worker of the bench's page, driven by Puppeteer, or a module in Node.
import { StageHost } from './stages/stage-host.ts';

declare global {
  /** What drives the stages of this side. */
  var stageHost: Promise<StageHost>;
}

globalThis.stageHost = StageHost.start();
