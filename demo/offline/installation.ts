// The page as an installed application: files that the system opens with it, and news of a newer version.
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

/** Tells when the service worker has stored a version of the page that is not this one. */
export function watchVersion(): void {
  const { serviceWorker } = navigator;
  if (serviceWorker === undefined) return;
  serviceWorker.addEventListener('controllerchange', () =>
    serviceWorker.controller?.postMessage({ script: import.meta.url }),
  );
  serviceWorker.addEventListener('message', ({ data }) => {
    if (data === 'outdated') showNotice();
  });
}

function showNotice(): void {
  const place = find('update', HTMLElement);
  place.replaceChildren(
    element('span', {}, texts.update.ready),
    element('span', { class: 'spacer' }),
    element(
      'button',
      { type: 'button', class: 'text-button', onclick: () => location.reload() },
      texts.update.reload,
    ),
    iconButton('close', texts.dismiss, () => place.replaceChildren()),
  );
}
