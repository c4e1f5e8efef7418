// Global setup of the end-to-end tests: builds the demo and serves it as a static host would.
import type { TestProject } from 'vitest/node';
import { findBrowser } from '../../scripts/browser.ts';
import { buildDemo } from '../../scripts/build.ts';
import { serveFolder } from '../../scripts/static-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the built demo, without a trailing slash. */
    demoUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await findBrowser(); // sets PUPPETEER_EXECUTABLE_PATH for the tests
  await buildDemo();
  const server = await serveFolder('demo/dist');
  project.provide('demoUrl', server.url);
  return server.close;
}
