import { isBuilt } from './connection-policy.ts';

/** Lets the built page open offline; if the browser refuses, the page still works online. */
export async function registerServiceWorker(): Promise<void> {
  if (!isBuilt || !('serviceWorker' in navigator)) return;
  await navigator.serviceWorker.register('./service-worker.js').catch(() => undefined);
}
