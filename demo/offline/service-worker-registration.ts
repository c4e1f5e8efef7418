import { isBuilt } from '../connection-policy.ts';

/** How long a first visit waits for the service worker to take charge. */
const PATIENCE_MS = 3000;

/**
 * Lets the built page open offline; if the browser refuses, the page still works online.
 *
 * @returns once the service worker sees the requests of this page and of workers that start from now on, or will not soon.
 */
export async function registerServiceWorker(): Promise<void> {
  if (!isBuilt || !('serviceWorker' in navigator)) return;
  const { serviceWorker } = navigator;
  const inCharge = new Promise<void>((resolve) => {
    if (serviceWorker.controller) resolve();
    serviceWorker.addEventListener('controllerchange', () => resolve());
    setTimeout(resolve, PATIENCE_MS);
  });
  await serviceWorker.register('./service-worker.js').then(
    () => inCharge,
    () => undefined,
  );
}
