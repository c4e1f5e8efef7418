/** A checkpoint that a person can ask for, and where it would come from. */
export interface CheckpointSource {
  /** What `load()` takes: a Hugging Face repository, or the absolute address of a folder. */
  readonly source: string;
  /** A short name for people. */
  readonly name: string;
  /** Where the bytes come from. */
  readonly origin: 'embedded' | 'page' | 'huggingface' | 'host';
  /** The host, for people. */
  readonly host: string;
}

/** What Hugging Face serves files from, and what it redirects to. */
const HUGGING_FACE_ORIGINS = [
  'https://huggingface.co',
  'https://*.huggingface.co',
  'https://*.hf.co',
];
const REPOSITORY = /^[\w.-]+\/[\w.-]+(@[\w./-]+)?$/;
const EMBEDDED_FOLDER = 'models/gpt-oss-nano/';

/** The model that comes with the page. */
export function embeddedSource(page: string): CheckpointSource {
  const url = new URL(EMBEDDED_FOLDER, page);
  return { source: url.href, name: 'gpt-oss-nano', origin: 'embedded', host: 'this page' };
}

/**
 * Reads what a person typed, or what an address names: `owner/name`, `owner/name@revision`, an http(s) address, or
 * a path that starts with `.` or `/`.
 *
 * @param page the page's own address.
 * @returns `undefined` where it is none of these.
 */
export function parseSource(text: string, page: string): CheckpointSource | undefined {
  const trimmed = text.trim();
  if (/^https?:\/\/huggingface\.co\//i.test(trimmed)) {
    const [, owner, name, , revision = 'main'] = new URL(trimmed).pathname.split('/');
    return owner && name ? parseSource(`${owner}/${name}@${revision}`, page) : undefined;
  }
  if (/^https?:\/\//i.test(trimmed) || /^[./]/.test(trimmed)) {
    if (!URL.canParse(trimmed, page)) return undefined;
    const url = new URL(trimmed, page);
    url.search = '';
    url.hash = '';
    if (!url.pathname.endsWith('/')) url.pathname += '/';
    const embedded = embeddedSource(page);
    if (url.href === embedded.source) return embedded;
    const name = decodeURIComponent(url.pathname.split('/').at(-2) || url.host);
    const here = url.origin === new URL(page).origin;
    return here
      ? { source: url.href, name, origin: 'page', host: 'this page' }
      : { source: url.href, name, origin: 'host', host: url.host };
  }
  if (!REPOSITORY.test(trimmed)) return undefined;
  const source = trimmed.replace(/@main$/, '');
  const name = source.slice(source.indexOf('/') + 1);
  return { source, name, origin: 'huggingface', host: 'huggingface.co' };
}

/**
 * The connect-src of a page opened for this checkpoint: the page itself and the checkpoint's host, no other.
 * A page opened for its own checkpoints may still go on to Hugging Face.
 */
export function allowedConnections(checkpoint: CheckpointSource): readonly string[] {
  if (checkpoint.origin === 'host') return ["'self'", new URL(checkpoint.source).origin];
  return ["'self'", ...HUGGING_FACE_ORIGINS];
}

/** Whether a page opened for one checkpoint may connect to the host of another without being opened again. */
export function isReachable(checkpoint: CheckpointSource, opened: CheckpointSource): boolean {
  if (checkpoint.origin === 'embedded' || checkpoint.origin === 'page') return true;
  if (checkpoint.origin === 'huggingface') return opened.origin !== 'host';
  return (
    opened.origin === 'host' && new URL(checkpoint.source).origin === new URL(opened.source).origin
  );
}

/** The checkpoint that the page's address names with `?model=`, or else the embedded one. */
export function requestedSource(page: string): CheckpointSource {
  const named = new URL(page).searchParams.get('model');
  return (named === null ? undefined : parseSource(named, page)) ?? embeddedSource(page);
}

/** The address at which the page opens for a checkpoint; the embedded one needs no `?model=`. */
export function pageAddress(checkpoint: CheckpointSource, page: string): string {
  const url = new URL(page);
  url.search = '';
  if (checkpoint.origin !== 'embedded') url.searchParams.set('model', checkpoint.source);
  return url.href;
}
