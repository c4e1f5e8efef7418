// A test's client of the fault server, in Node and in pages.

/** A fault in a response. */
export type Fault =
  /** This status, and no file. */
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  /** The connection breaks after this many bytes of the body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Nothing is sent after this many bytes of the body. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** The byte of the file at this offset is wrong. */
  | { readonly kind: 'wrong'; readonly at: number }
  /** The file has this size. */
  | { readonly kind: 'truncate'; readonly sizeBytes: number }
  /** Ranges are ignored. */
  | { readonly kind: 'no-range' }
  /** The file is another version: each byte is XORed with `flip`. */
  | { readonly kind: 'version'; readonly etag: string; readonly flip: number }
  /** A redirect. */
  | { readonly kind: 'redirect'; readonly to: string }
  /** The body is compressed: whatever the request allows, or whenever it does. Ranges are those of compressed bytes. */
  | { readonly kind: 'gzip'; readonly isForced: boolean }
  /** The body is sent at this speed. */
  | { readonly kind: 'slow'; readonly bytesPerSecond: number };

/** Which requests a fault applies to: those that meet all of the conditions. */
export interface FaultRule {
  /** The fault. */
  readonly fault: Fault;
  /** The end of the path. */
  readonly path?: string;
  /** A part of the query. */
  readonly query?: string;
  /** Only ranges that begin here or later. */
  readonly fromBytes?: number;
  /** Only ranges that contain this byte. */
  readonly covers?: number;
  /** The number of requests. Default: all. */
  readonly times?: number;
}

/** The files that a session serves. */
export interface SessionSetup {
  /** The files in this folder of the repository. */
  readonly folder?: string;
  /** Files of synthetic bytes: sizes by path. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** JSON responses by path. */
  readonly json?: Readonly<Record<string, unknown>>;
  /** Headers to send with every file. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether to send files without an ETag. */
  readonly isWithoutEtag?: boolean;
}

/** A request for a file, with its response. */
export interface RequestRecord {
  /** The file's path. */
  readonly path: string;
  /** The HTTP method. */
  readonly method: string;
  /** The requested host. */
  readonly host: string;
  /** The query with its question mark. */
  readonly query: string;
  /** The requested bytes, half-open. */
  readonly range?: readonly [number, number] | undefined;
  /** The Authorization header. */
  readonly authorization?: string | undefined;
  /** The If-Range header. */
  readonly ifRange?: string | undefined;
  /** The status of the response; 0 before it. */
  status: number;
  /** Bytes of the body sent so far. */
  sentBytes: number;
}

/** One test's files on the fault server. */
export class FaultSession {
  /** The URL of its folder, with a final slash. */
  readonly url: string;
  readonly #control: string;
  readonly #upload: string;

  private constructor(server: string, id: string) {
    this.url = `${server}/files/${id}/`;
    this.#control = `${server}/session/${id}`;
    this.#upload = `${server}/upload/${id}/`;
  }

  /** Creates a session. */
  static async start(server: string, setup: SessionSetup): Promise<FaultSession> {
    const response = await fetch(`${server}/session/`, {
      method: 'POST',
      body: JSON.stringify(setup),
    });
    return new FaultSession(server, await response.json());
  }

  /** Adds a file. */
  async put(path: string, bytes: Blob): Promise<void> {
    await fetch(this.#upload + path, { method: 'PUT', body: bytes });
  }

  /** Replaces the rules and clears the log. */
  async script(...rules: FaultRule[]): Promise<void> {
    await fetch(this.#control, { method: 'PUT', body: JSON.stringify(rules) });
  }

  /** The requests since the last {@link FaultSession.script}. */
  async log(): Promise<RequestRecord[]> {
    return (await fetch(this.#control)).json();
  }

  /** Bytes sent since then, of files whose paths end in `pathEnd`. */
  async sentBytes(pathEnd = ''): Promise<number> {
    const log = await this.log();
    return log
      .filter(({ path }) => path.endsWith(pathEnd))
      .reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  }
}
