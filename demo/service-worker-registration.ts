import { isBuilt } from './connection-policy.ts';

/** Lets the built page open without a network; a browser that refuses still has the page, online. */
export async function registerServiceWorker(): Promise<void> {
  if (!isBuilt || !('serviceWorker' in navigator)) return;
  await navigator.serviceWorker.register('./service-worker.js').catch(() => undefined);
}
