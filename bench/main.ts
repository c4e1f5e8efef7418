// The worker of the bench's page: lets Puppeteer drive a stage.
import { StageHost } from './stage-host.ts';

declare global {
  /** What Puppeteer calls. */
  var stageHost: Promise<StageHost>;
}

globalThis.stageHost = StageHost.start();
