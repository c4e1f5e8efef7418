import { build, type Plugin, type Rolldown } from 'vite';

/** Makes `import text from './…-worker.ts?raw'` the text of a built worker, for those that a page cannot start itself. */
export function workerText(): Plugin {
  return {
    name: 'worker-text',
    enforce: 'pre',
    async load(id) {
      if (!id.endsWith('-worker.ts?raw')) return undefined;
      const [{ output }] = (await build({
        configFile: false,
        logLevel: 'error',
        publicDir: false,
        build: {
          write: false,
          target: 'es2023',
          minify: true,
          lib: { entry: id.slice(0, -'?raw'.length), formats: ['iife'], name: 'worker' },
        },
      })) as [Rolldown.RolldownOutput];
      return `export default ${JSON.stringify(output[0].code)}`;
    },
  };
}
