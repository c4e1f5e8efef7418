/** A checkpoint to load, and where it comes from. */
export interface CheckpointSource {
  /**
   * What `load()` takes: a Hugging Face repository, a GGUF file in one, or the absolute URL of a folder or GGUF file.
   * For local files, `files:` and their name.
   */
  readonly source: string;
  /** A short name to show. */
  readonly name: string;
  /** Where the bytes come from. */
  readonly origin: 'embedded' | 'page' | 'huggingface' | 'host' | 'files';
  /** The host to show, unless the origin says enough: this page or this computer. */
  readonly host?: string;
  /** Base URL used instead of https://huggingface.co, without a trailing slash. */
  readonly mirror?: string;
  /** The files or folder that the user picked or dropped. */
  readonly files?: readonly File[] | FileSystemDirectoryHandle;
}

/** The origins that Hugging Face serves files from and redirects to. */
const HUGGING_FACE_ORIGINS = [
  'https://huggingface.co',
  'https://*.huggingface.co',
  'https://*.hf.co',
];
const REPOSITORY = /^[\w.-]+\/[\w.-]+(\/[^@?#]+\.gguf)?(@[\w./-]+)?$/i;
const REPOSITORY_FILE =
  /^https?:\/\/huggingface\.co\/([\w.-]+\/[\w.-]+)\/(?:blob|resolve)\/([\w.-]+)\/([^?#]+\.gguf)/i;
const EMBEDDED_FOLDER = 'models/gpt-oss-nano/';
const GGUF = /\.gguf$/i;
/** Hosts that may enter a Content-Security-Policy: URLs also allow `;`, `,` and `*`, which have a meaning there. */
const HOST = /^[\w.:[\]-]+$/;

/** The model that comes with the page. */
export function embeddedSource(page: string): CheckpointSource {
  const url = new URL(EMBEDDED_FOLDER, page);
  return { source: url.href, name: 'gpt-oss-nano', origin: 'embedded' };
}

/**
 * The checkpoint in files that the user picked or dropped: a folder, or the parts of a GGUF file.
 *
 * @param unnamed the name to show for files that have none.
 */
export function localSource(
  files: readonly File[] | FileSystemDirectoryHandle,
  unnamed: string,
): CheckpointSource {
  const name = ('kind' in files ? files.name : filesName(files)) || unnamed;
  return { source: `files:${name}`, name, origin: 'files', files };
}

/**
 * Parses a source that the user typed or a URL names: `owner/name` or `owner/name/file.gguf`, with or without
 * `@revision`; the http(s) URL of a folder or GGUF file; or a path that starts with `.` or `/`.
 *
 * @param page the page's own URL.
 * @param mirror base URL used instead of https://huggingface.co.
 * @returns `undefined` if it is none of these.
 */
export function parseSource(
  text: string,
  page: string,
  mirror?: string,
): CheckpointSource | undefined {
  const trimmed = text.trim();
  const [, repository, commit, path] = REPOSITORY_FILE.exec(trimmed) ?? [];
  if (repository && commit && path)
    return parseSource(`${repository}/${decoded(path)}@${commit}`, page, mirror);
  if (/^https?:\/\/huggingface\.co\//i.test(trimmed)) {
    const [, owner, name, , revision = 'main'] = new URL(trimmed).pathname.split('/');
    return owner && name ? parseSource(`${owner}/${name}@${revision}`, page, mirror) : undefined;
  }
  if (/^https?:\/\//i.test(trimmed) || /^[./]/.test(trimmed)) return parseAddress(trimmed, page);
  if (!REPOSITORY.test(trimmed)) return undefined;
  const source = trimmed.replace(/@main$/, '');
  const [file = source, revision] = source.split('@');
  const base = ggufName(file.slice(file.lastIndexOf('/') + 1));
  const name = revision === undefined ? base : `${base}@${revision}`;
  return mirror === undefined
    ? { source, name, origin: 'huggingface', host: 'huggingface.co' }
    : { source, name, origin: 'huggingface', host: new URL(mirror).host, mirror };
}

/** Parses the base URL of a mirror; `undefined` if it is not an http(s) URL of a plain host. */
export function parseMirror(text: string): string | undefined {
  const trimmed = text.trim().replace(/\/+$/, '');
  const isMirror = /^https?:\/\//i.test(trimmed) && hasPlainHost(trimmed);
  return isMirror ? trimmed : undefined;
}

function hasPlainHost(text: string, base?: string): boolean {
  return URL.canParse(text, base) && HOST.test(new URL(text, base).host);
}

function parseAddress(text: string, page: string): CheckpointSource | undefined {
  if (!hasPlainHost(text, page)) return undefined;
  const url = new URL(text, page);
  url.search = '';
  url.hash = '';
  const isFile = GGUF.test(url.pathname);
  if (!isFile && !url.pathname.endsWith('/')) url.pathname += '/';
  const embedded = embeddedSource(page);
  if (url.href === embedded.source) return embedded;
  const last = decoded(url.pathname.split('/').at(isFile ? -1 : -2) || url.host);
  const name = isFile ? ggufName(last) : last;
  if (url.origin === new URL(page).origin) return { source: url.href, name, origin: 'page' };
  return { source: url.href, name, origin: 'host', host: url.host };
}

/** The name of a picked folder or GGUF model; empty if there is none. */
function filesName(files: readonly File[]): string {
  const folder = files[0]?.webkitRelativePath?.split('/')[0]; // Node's files have no path
  const gguf = files.find(({ name }) => GGUF.test(name));
  return folder || (gguf ? ggufName(gguf.name) : '');
}

/** Decodes percent-encoding; text with invalid escapes stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The name of a GGUF model, given the name of one of its files. */
const ggufName = (file: string): string => file.replace(/(-\d{5}-of-\d{5})?\.gguf$/i, '');

/**
 * The connect-src of a page opened for this checkpoint: the page itself and the checkpoint's host, nothing else.
 * A page opened for its own checkpoints may also load from Hugging Face; a mirror may redirect there.
 */
export function allowedConnections(checkpoint: CheckpointSource): readonly string[] {
  if (checkpoint.origin === 'host') return ["'self'", new URL(checkpoint.source).origin];
  const mirror = checkpoint.mirror === undefined ? [] : [new URL(checkpoint.mirror).origin];
  return ["'self'", ...mirror, ...HUGGING_FACE_ORIGINS];
}

/** Whether a page opened for one checkpoint may connect to the host of another without reopening. */
export function isReachable(checkpoint: CheckpointSource, opened: CheckpointSource): boolean {
  if (checkpoint.origin === 'huggingface' && checkpoint.mirror !== undefined)
    return (
      opened.mirror !== undefined &&
      new URL(checkpoint.mirror).origin === new URL(opened.mirror).origin
    );
  if (checkpoint.origin === 'huggingface') return opened.origin !== 'host';
  if (checkpoint.origin !== 'host') return true;
  return (
    opened.origin === 'host' && new URL(checkpoint.source).origin === new URL(opened.source).origin
  );
}

/** The checkpoint that `?model=` and `?mirror=` in the page's URL name, or else the embedded one. */
export function requestedSource(page: string): CheckpointSource {
  const { searchParams } = new URL(page);
  const named = searchParams.get('model');
  const mirror = parseMirror(searchParams.get('mirror') ?? '');
  return (named === null ? undefined : parseSource(named, page, mirror)) ?? embeddedSource(page);
}

/** The URL that opens the page for a checkpoint; the embedded one and local files need no `?model=`. */
export function pageAddress(checkpoint: CheckpointSource, page: string): string {
  const { origin, source, mirror } = checkpoint;
  const url = new URL(page);
  url.search = '';
  if (origin !== 'embedded' && origin !== 'files') url.searchParams.set('model', source);
  if (mirror !== undefined) url.searchParams.set('mirror', mirror);
  return url.href;
}
