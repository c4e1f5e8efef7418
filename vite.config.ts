import { fileURLToPath } from 'node:url';
import { type AliasOptions, defineConfig, type UserConfig } from 'vite';
import { builtPage } from './demo/vite-plugin.ts';
import { workerText } from './scripts/worker-text.ts';

const fromRoot = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Package names → their sources, so that the demo and the tests do not need a build of the packages. */
export const sourceAliases: AliasOptions = [
  { find: /^@ossicle\/harmony$/, replacement: fromRoot('packages/harmony/src/index.ts') },
  { find: /^ossicle\/engine$/, replacement: fromRoot('packages/core/src/engine/index.ts') },
  { find: /^ossicle\/node$/, replacement: fromRoot('packages/core/src/node/index.ts') },
  { find: /^@ossicle\/tools$/, replacement: fromRoot('packages/tools/src/index.ts') },
  { find: /^ossicle$/, replacement: fromRoot('packages/core/src/index.ts') },
];

/** The demo: `vite` serves it for development, `vite build` writes it to demo/dist. */
const config: UserConfig = defineConfig({
  root: fromRoot('demo'),
  base: './',
  resolve: { alias: sourceAliases },
  worker: { format: 'es' },
  plugins: [builtPage(), workerText()],
  build: {
    target: 'es2023',
    emptyOutDir: true,
    license: { fileName: 'licenses.md' },
    rolldownOptions: {
      checks: { pluginTimings: false },
      input: { index: fromRoot('demo/index.html'), headless: fromRoot('demo/headless.html') },
    },
  },
});
export default config;
