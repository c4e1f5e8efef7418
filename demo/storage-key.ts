/** The name of something this page stores. It holds the page's folder: other deployments on this origin have their own. */
export function storageKey(name: string): string {
  return `ossicle.${name} ${new URL('.', location.href).pathname}`;
}

/** Reads a text from local storage; `undefined` if there is none or the browser refuses. */
export function readLocal(key: string): string | undefined {
  try {
    return localStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Writes a text to local storage, or removes it if it is empty. A browser that refuses loses it with the page. */
export function writeLocal(key: string, text: string): void {
  try {
    if (text === '') localStorage.removeItem(key);
    else localStorage.setItem(key, text);
  } catch {
    // Full or forbidden: the page works without.
  }
}

/** Reads a text that this tab has kept, also over a reload; `undefined` if there is none or the browser refuses. */
export function readTab(key: string): string | undefined {
  try {
    return sessionStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a text for this tab; `undefined` removes it. */
export function writeTab(key: string, text: string | undefined): void {
  try {
    if (text === undefined) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, text);
  } catch {
    // Full or forbidden: a reload begins anew.
  }
}
