import { build, type Plugin, type Rolldown } from 'vite';
import { sourceAliases } from '../../../vite.config.ts';

const SUFFIX = '?worker&inline';

/**
 * Inlines workers as a build does. Vite's development server would send a worker its dozens of modules one by one,
 * whenever one starts.
 */
export function bundledWorkers(): Plugin {
  return {
    name: 'bundled-workers',
    enforce: 'pre',
    async load(id) {
      if (!id.endsWith(SUFFIX)) return undefined;
      const [{ output }] = (await build({
        configFile: false,
        logLevel: 'error',
        publicDir: false,
        resolve: { alias: sourceAliases },
        worker: { format: 'es' },
        build: {
          write: false,
          target: 'es2023',
          minify: false,
          lib: { entry: id, formats: ['es'] },
        },
      })) as [Rolldown.RolldownOutput];
      return output[0].code;
    },
  };
}
