import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

/**
 * The Content-Security-Policy of a built page. The chat page may load checkpoints from any host, so this leaves
 * connections open; its first script limits them to one host (connection-policy.ts). Other pages use only the embedded
 * model.
 */
function policyOf(path: string): string {
  const connections = path === '/index.html' ? "'self' https: http:" : "'self'";
  return [
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self' blob:",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "manifest-src 'self'",
    `connect-src ${connections}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

const SERVICE_WORKER = 'service-worker.js';
const fromHere = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Gives the built pages their Content-Security-Policy and a service worker that caches the build's files. */
export function builtPage(): Plugin {
  return {
    name: 'ossicle-built-page',
    apply: 'build',
    buildStart() {
      this.emitFile({
        type: 'chunk',
        id: fromHere('offline/service-worker.ts'),
        fileName: SERVICE_WORKER,
      });
    },
    transformIndexHtml: (_html, { path }) => [
      {
        tag: 'meta',
        attrs: { 'http-equiv': 'Content-Security-Policy', content: policyOf(path) },
        injectTo: 'head-prepend',
      },
    ],
    generateBundle: {
      order: 'post',
      async handler(_options, bundle) {
        const worker = bundle[SERVICE_WORKER];
        if (worker?.type !== 'chunk') throw new Error('The service worker was not built.');
        const hash = createHash('sha256');
        const files: string[] = [];
        for (const [name, output] of Object.entries(bundle).toSorted(([a], [b]) =>
          a < b ? -1 : 1,
        )) {
          if (name === SERVICE_WORKER || name.endsWith('.map')) continue;
          files.push(name);
          hash.update(name).update(output.type === 'chunk' ? output.code : output.source);
        }
        for (const name of await pageFiles()) {
          files.push(name);
          hash.update(name).update(await readFile(fromHere(join('public', name))));
        }
        const precache = { version: hash.digest('hex').slice(0, 16), files };
        worker.code = `const PRECACHE = ${JSON.stringify(precache)};\n${worker.code}`;
      },
    },
  };
}

/** The top-level public files, which belong to the page. Checkpoints are in a folder. */
async function pageFiles(): Promise<readonly string[]> {
  const entries = await readdir(fromHere('public'), { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .toSorted();
}
