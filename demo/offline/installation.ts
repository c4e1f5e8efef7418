// The page as an installed application: files that the system opens with it, and updates.
import { element, find, iconButton } from '../element.ts';
import { texts } from '../language/texts.ts';

/** The launch queue of browsers that open files with installed pages; TypeScript's DOM types lack it. */
interface WithLaunchQueue {
  readonly launchQueue?: {
    setConsumer(
      consume: (launch: { readonly files: readonly FileSystemFileHandle[] }) => void,
    ): void;
  };
}

/** Opens files that the system was asked to open with the installed page. */
export function acceptLaunches(open: (files: readonly File[]) => void): void {
  (window as WithLaunchQueue).launchQueue?.setConsumer(({ files }) => {
    if (files.length > 0)
      void Promise.all(files.map((handle) => handle.getFile())).then(open, reportError);
  });
}

/** Leaves the page once everything is stored. */
type Leave = (go: () => void) => void;

/** How long a newer version may take to be in charge before the page reloads anyway. */
const PATIENCE_MS = 3000;

/**
 * Tells when a newer version of the page is stored, and changes to it if the user agrees: until then, all open pages keep
 * the files of their version.
 */
export function watchVersion(leave: Leave): void {
  const { serviceWorker } = navigator;
  if (serviceWorker === undefined) return;
  const script = import.meta.url;
  void navigator.locks.request(script, { mode: 'shared' }, () => new Promise(() => undefined));
  const tellScript = (): void => serviceWorker.controller?.postMessage({ script });
  serviceWorker.addEventListener('controllerchange', tellScript);
  serviceWorker.addEventListener('message', ({ data }) => {
    if (data === 'outdated') showNotice(leave); // another tab has agreed
  });
  void serviceWorker.ready.then((registration) => {
    tellScript();
    const watch = (worker: ServiceWorker | null): void => {
      const tell = (): void => {
        if (worker?.state === 'installed' && serviceWorker.controller) showNotice(leave, worker);
      };
      worker?.addEventListener('statechange', tell);
      tell();
    };
    watch(registration.waiting ?? registration.installing);
    registration.addEventListener('updatefound', () => watch(registration.installing));
  });
}

/** @param waiting the service worker of the newer version, if it is not in charge yet. */
function showNotice(leave: Leave, waiting?: ServiceWorker): void {
  const place = find('update', HTMLElement);
  const update = async (): Promise<void> => {
    const isInCharge = new Promise((resolve) => {
      navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true });
      setTimeout(resolve, waiting ? PATIENCE_MS : 0);
    });
    waiting?.postMessage('take over');
    await isInCharge;
    location.reload();
  };
  place.replaceChildren(
    element('span', {}, texts.update.ready),
    element('span', { class: 'spacer' }),
    element(
      'button',
      { type: 'button', class: 'text-button', onclick: () => leave(() => void update()) },
      texts.update.reload,
    ),
    iconButton('close', texts.dismiss, () => place.replaceChildren()),
  );
}
