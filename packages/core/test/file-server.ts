// Global setup of the tests in Node and in Chrome: serves the repository's files over HTTP.
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { serveFolder } from '../../../scripts/static-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Address of a server of the repository's files, without a final slash. */
    fileServer: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await serveFolder(fileURLToPath(new URL('../../..', import.meta.url)));
  project.provide('fileServer', server.url);
  return server.close;
}
