// The page's first script: it runs before anything connects. The static policy (vite-plugin.ts) allows checkpoints from
// any host; a second policy can only forbid more, and this one leaves the page itself and one model host.
// The library's worker starts later and inherits both.
import {
  allowedConnections,
  type CheckpointSource,
  requestedSource,
} from './model/checkpoint-source.ts';

/** The checkpoint whose host this page may connect to for as long as it is open. */
export const openedFor: CheckpointSource = requestedSource(location.href);

/** Whether this is the built page, which has a policy; the development server needs its own connections and styles. */
export const isBuilt: boolean =
  document.querySelector('meta[http-equiv="Content-Security-Policy"]') !== null;

// Connections that no policy governs in all browsers.
for (const name of ['RTCPeerConnection', 'webkitRTCPeerConnection', 'WebTransport'])
  if (name in globalThis)
    Object.defineProperty(globalThis, name, {
      value: undefined,
      ...{ configurable: false, writable: false },
    });

if (isBuilt) {
  const policy = document.createElement('meta');
  policy.httpEquiv = 'Content-Security-Policy';
  policy.content = `connect-src ${allowedConnections(openedFor).join(' ')}`;
  document.head.append(policy);
}
