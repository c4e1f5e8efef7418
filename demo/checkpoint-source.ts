/** A checkpoint that a person can ask for, and where it would come from. */
export interface CheckpointSource {
  /**
   * What `load()` takes: a Hugging Face repository or a GGUF file in one, or the absolute address of a folder or of a GGUF
   * file. Of local files, `files:` and their name.
   */
  readonly source: string;
  /** A short name for people. */
  readonly name: string;
  /** Where the bytes come from. */
  readonly origin: 'embedded' | 'page' | 'huggingface' | 'host' | 'files';
  /** The host, for people. */
  readonly host: string;
  /** The address of what takes the place of huggingface.co, without a final slash. */
  readonly mirror?: string;
  /** What a person picked or dropped. */
  readonly files?: readonly File[] | FileSystemDirectoryHandle;
}

/** What Hugging Face serves files from, and what it redirects to. */
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

/** The model that comes with the page. */
export function embeddedSource(page: string): CheckpointSource {
  const url = new URL(EMBEDDED_FOLDER, page);
  return { source: url.href, name: 'gpt-oss-nano', origin: 'embedded', host: 'this page' };
}

/** Files that a person picked or dropped: a folder, or the parts of a GGUF file. */
export function localSource(files: readonly File[] | FileSystemDirectoryHandle): CheckpointSource {
  const name = 'kind' in files ? files.name : filesName(files);
  return { source: `files:${name}`, name, origin: 'files', host: 'this computer', files };
}

/**
 * Reads what a person typed, or what an address names: `owner/name` or `owner/name/file.gguf`, each with `@revision` or
 * without, an http(s) address of a folder or of a GGUF file, or a path that starts with `.` or `/`.
 *
 * @param page the page's own address.
 * @param mirror what takes the place of huggingface.co.
 * @returns `undefined` where it is none of these.
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

/** Reads the address of a mirror; `undefined` where it is no http(s) address. */
export function parseMirror(text: string): string | undefined {
  const trimmed = text.trim().replace(/\/+$/, '');
  return /^https?:\/\//i.test(trimmed) && URL.canParse(trimmed) ? trimmed : undefined;
}

function parseAddress(text: string, page: string): CheckpointSource | undefined {
  if (!URL.canParse(text, page)) return undefined;
  const url = new URL(text, page);
  url.search = '';
  url.hash = '';
  const isFile = GGUF.test(url.pathname);
  if (!isFile && !url.pathname.endsWith('/')) url.pathname += '/';
  const embedded = embeddedSource(page);
  if (url.href === embedded.source) return embedded;
  const last = decoded(url.pathname.split('/').at(isFile ? -1 : -2) || url.host);
  const name = isFile ? ggufName(last) : last;
  if (url.origin === new URL(page).origin)
    return { source: url.href, name, origin: 'page', host: 'this page' };
  return { source: url.href, name, origin: 'host', host: url.host };
}

/** The name of a picked folder, or of a GGUF model. */
function filesName(files: readonly File[]): string {
  const folder = files[0]?.webkitRelativePath?.split('/')[0]; // Node's files have no path
  const gguf = files.find(({ name }) => GGUF.test(name));
  return folder || (gguf ? ggufName(gguf.name) : 'dropped files');
}

/** Undoes percent-encoding; a text whose escapes are none stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The name of a GGUF model by that of one of its files. */
const ggufName = (file: string): string => file.replace(/(-\d{5}-of-\d{5})?\.gguf$/i, '');

/**
 * The connect-src of a page opened for this checkpoint: the page itself and the checkpoint's host, no other.
 * A page opened for its own checkpoints may still go on to Hugging Face; a mirror may send the page there.
 */
export function allowedConnections(checkpoint: CheckpointSource): readonly string[] {
  if (checkpoint.origin === 'host') return ["'self'", new URL(checkpoint.source).origin];
  const mirror = checkpoint.mirror === undefined ? [] : [new URL(checkpoint.mirror).origin];
  return ["'self'", ...mirror, ...HUGGING_FACE_ORIGINS];
}

/** Whether a page opened for one checkpoint may connect to the host of another without being opened again. */
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

/** The checkpoint that the page's address names with `?model=` and `?mirror=`, or else the embedded one. */
export function requestedSource(page: string): CheckpointSource {
  const { searchParams } = new URL(page);
  const named = searchParams.get('model');
  const mirror = parseMirror(searchParams.get('mirror') ?? '');
  return (named === null ? undefined : parseSource(named, page, mirror)) ?? embeddedSource(page);
}

/** The address at which the page opens for a checkpoint; the embedded one and local files need no `?model=`. */
export function pageAddress(checkpoint: CheckpointSource, page: string): string {
  const { origin, source, mirror } = checkpoint;
  const url = new URL(page);
  url.search = '';
  if (origin !== 'embedded' && origin !== 'files') url.searchParams.set('model', source);
  if (mirror !== undefined) url.searchParams.set('mirror', mirror);
  return url.href;
}
