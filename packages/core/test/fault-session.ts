// A test's end of the fault server, in Node and in pages.

/** What goes wrong with an answer. */
export type Fault =
  /** Nothing but this status. */
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  /** The connection breaks after so many bytes of the body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** No further byte comes after so many. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** The file's byte at this offset is another one. */
  | { readonly kind: 'wrong'; readonly at: number }
  /** The file seems to end here. */
  | { readonly kind: 'truncate'; readonly sizeBytes: number }
  /** Ranges are ignored. */
  | { readonly kind: 'no-range' }
  /** The file is another one: each byte is combined with `flip`. */
  | { readonly kind: 'version'; readonly etag: string; readonly flip: number }
  /** The answer is elsewhere. */
  | { readonly kind: 'redirect'; readonly to: string }
  /** So many bytes come in a second. */
  | { readonly kind: 'slow'; readonly bytesPerSecond: number };

/** Which requests a fault befalls; the conditions that are given all have to hold. */
export interface FaultRule {
  /** What goes wrong. */
  readonly fault: Fault;
  /** How the path ends. */
  readonly path?: string;
  /** A part of the query. */
  readonly query?: string;
  /** Ranges that begin here or later. */
  readonly fromBytes?: number;
  /** Ranges that hold this byte. */
  readonly covers?: number;
  /** How many requests. Default: all. */
  readonly times?: number;
}

/** What a session serves. */
export interface SessionSetup {
  /** Files of this folder of the repository. */
  readonly folder?: string;
  /** Files of synthetic bytes: their sizes by their paths. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Answers that are JSON, by their paths. */
  readonly json?: Readonly<Record<string, unknown>>;
  /** Sent with every file. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether files come without an ETag. */
  readonly isWithoutEtag?: boolean;
}

/** A request for a file, and what was sent. */
export interface RequestRecord {
  /** The file's path. */
  readonly path: string;
  /** The HTTP method. */
  readonly method: string;
  /** The host that was addressed. */
  readonly host: string;
  /** The query with its question mark. */
  readonly query: string;
  /** The bytes that were asked for, half-open. */
  readonly range?: readonly [number, number] | undefined;
  /** The Authorization header. */
  readonly authorization?: string | undefined;
  /** The If-Range header. */
  readonly ifRange?: string | undefined;
  /** The status of the answer; 0 where there was none yet. */
  status: number;
  /** Bytes of the body that were sent. */
  sentBytes: number;
}

/** One test's files on the fault server. */
export class FaultSession {
  /** The address of its folder, with a final slash. */
  readonly url: string;
  readonly #control: string;
  readonly #upload: string;

  private constructor(server: string, id: string) {
    this.url = `${server}/files/${id}/`;
    this.#control = `${server}/session/${id}`;
    this.#upload = `${server}/upload/${id}/`;
  }

  /** Makes a session. */
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

  /** Replaces what goes wrong, and empties the log. */
  async script(...rules: FaultRule[]): Promise<void> {
    await fetch(this.#control, { method: 'PUT', body: JSON.stringify(rules) });
  }

  /** The requests since the last {@link FaultSession.script}. */
  async log(): Promise<RequestRecord[]> {
    return (await fetch(this.#control)).json();
  }

  /** Bytes sent since then, of files whose paths end so. */
  async sentBytes(pathEnd = ''): Promise<number> {
    const log = await this.log();
    return log
      .filter(({ path }) => path.endsWith(pathEnd))
      .reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  }
}
