// Global setup of the tests in Node and in Chrome: starts a server of the repository's files and a fault server.
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { serveFolder } from '../../../scripts/static-server.ts';
import { startFaultServer } from './fault-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL of the server of the repository's files, without a final slash. */
    fileServer: string;
    /** The URL of the server for `FaultSession`, without a final slash. */
    faultServer: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const [files, faults] = await Promise.all([serveFolder(root), startFaultServer(root)]);
  project.provide('fileServer', files.url);
  project.provide('faultServer', faults.url);
  return async () => {
    await Promise.all([files.close(), faults.close()]);
  };
}
