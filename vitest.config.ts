import { defineConfig, type TestUserConfig, type ViteUserConfig } from 'vitest/config';
import { bundledWorkers } from './packages/core/test/bundled-workers.ts';
import { puppeteerProvider } from './packages/core/test/puppeteer.ts';
import { chromeOptions } from './scripts/browser.ts';
import { TotalsReporter } from './scripts/totals.ts';
import { workerText } from './scripts/worker-text.ts';
import { sourceAliases } from './vite.config.ts';

const node = ['**/node_modules/**', '**/dist/**'];
const gpuTests = 'packages/**/*.gpu.test.ts';
/** Tests that need a page and its workers. */
const pageTests = 'packages/**/*.page.test.ts';
/** Tests of a model of true size: in projects of their own, since they take minutes and gigabytes. */
const largeTests = '**/large.gpu.test.ts';
const fileServer = './packages/core/test/file-server.ts';

/** Manifest of the Vulkan driver for Dawn. Set here: worker threads write to a copy. */
const icd = process.env.OSSICLE_VK_ICD;
if (icd !== undefined && icd !== '') process.env.VK_DRIVER_FILES = icd;

/** Whether `slowTest` runs in Chrome: on a GPU, and on SwiftShader if asked for. */
const slowTests = process.env.OSSICLE_SLOW_TESTS === '1' || process.env.OSSICLE_GPU === '1';

/** A new object for each project, since Vitest writes to it. */
const chrome = (isolate: boolean): TestUserConfig => ({
  provide: { slowTests },
  fileParallelism: false,
  testTimeout: 300_000,
  hookTimeout: 300_000,
  browser: {
    enabled: true,
    headless: true,
    isolate,
    ui: false,
    screenshotFailures: false,
    instances: [{ browser: 'chrome' }],
    provider: puppeteerProvider(chromeOptions),
  },
});

const dawn: TestUserConfig = {
  provide: { slowTests: true },
  setupFiles: ['./packages/core/test/dawn.ts'],
  pool: 'threads', // lavapipe.sh starts Node with another loader, so that it cannot be forked
  fileParallelism: false,
  isolate: false, // one Vulkan instance for all files
  testTimeout: 300_000,
  hookTimeout: 300_000,
};

const largeReference = './packages/core/test/large-reference.ts';

const config: ViteUserConfig = defineConfig({
  resolve: { alias: sourceAliases },
  worker: { format: 'es' },
  // Optimized before the first page opens: a dependency found later would reload the page during its tests.
  optimizeDeps: { include: ['comlink', 'fast-check', 'idb-keyval'] },
  test: {
    reporters: ['default', new TotalsReporter()],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/**/*.test.ts', '{bench,demo,scripts}/**/*.test.ts'],
          exclude: [...node, '**/*.{gpu,page,e2e}.test.ts'],
          globalSetup: [fileServer],
          maxWorkers: '100%',
        },
      },
      {
        extends: true,
        plugins: [bundledWorkers()],
        test: {
          name: 'gpu',
          include: [gpuTests],
          exclude: [...node, largeTests],
          globalSetup: [fileServer],
          ...chrome(false),
        },
      },
      {
        extends: true,
        plugins: [bundledWorkers(), workerText()],
        test: {
          name: 'gpu-page',
          include: [pageTests],
          exclude: node,
          globalSetup: [fileServer],
          ...chrome(true),
        },
      },
      {
        extends: true,
        test: {
          name: 'dawn',
          include: [gpuTests],
          exclude: [...node, largeTests],
          globalSetup: [fileServer],
          ...dawn,
        },
      },
      {
        extends: true,
        test: {
          name: 'gpu-large',
          include: [largeTests],
          exclude: node,
          globalSetup: slowTests ? [largeReference] : [],
          ...chrome(true),
        },
      },
      {
        extends: true,
        test: {
          name: 'dawn-large',
          include: [largeTests],
          exclude: node,
          globalSetup: [largeReference],
          ...dawn,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['**/*.e2e.test.ts'],
          exclude: node,
          globalSetup: ['./demo/test/server.ts'],
          provide: { slowTests },
          maxWorkers: 2, // browsers wait for the page as often as they compute
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
export default config;
