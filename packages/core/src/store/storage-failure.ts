import { OssicleError } from '../errors.ts';

/** Checks that the browser offers storage. @throws {@link OssicleError} `storage-unavailable`. */
export function checkStorage(): void {
  const { storage, locks } = (globalThis.navigator ?? {}) as Partial<Navigator>;
  if (storage && locks && typeof indexedDB !== 'undefined') return;
  throw new OssicleError(
    'storage-unavailable',
    'There is no storage for models here: browsers give it to secure pages only, over HTTPS or from localhost. ' +
      'Open the page that way, or load with store: false.',
  );
}

/** Converts a failure of the browser's storage to an {@link OssicleError}; other errors stay as they are. */
export function storageFailure(error: unknown): unknown {
  if (!(error instanceof DOMException)) return error;
  const reason = `${error.name}: ${error.message}`;
  if (error.name === 'QuotaExceededError') {
    return new OssicleError(
      'storage-full',
      `There is no room for what must be stored (${reason}). Free some disk space, or remove a stored model.`,
      { cause: error },
    );
  }
  return new OssicleError(
    'storage-unavailable',
    `The browser did not let this page use its files (${reason}). Its data may have been cleared, or storage may not be ` +
      'allowed, as in some private windows. Reload the page, or load with store: false.',
    { cause: error },
  );
}
