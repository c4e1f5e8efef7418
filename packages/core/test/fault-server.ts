// A web server for tests of downloads that fails on demand and counts the bytes that it sends.
import { randomUUID } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Fault, FaultRule, RequestRecord, SessionSetup } from './fault-session.ts';

/** Bytes to send in one piece. */
const PIECE_BYTES = 64 * 1024;

/** The same for files that are generated as they are read, for which small pieces are expensive. */
const MADE_PIECE_BYTES = 1024 * 1024;

/** A running server. */
export interface FaultServer {
  /** Its URL, without a final slash. */
  readonly url: string;
  /** Stops it and drops its connections. */
  close(): Promise<void>;
}

/** One test's files, rules and log. */
interface Session {
  readonly setup: SessionSetup;
  readonly uploads: File[];
  rules: { readonly rule: FaultRule; left: number }[];
  log: RequestRecord[];
}

/** The contents of a file. */
interface Content {
  readonly sizeBytes: number;
  /** Bytes to send in one piece. */
  readonly pieceBytes: number;
  read(offsetBytes: number, sizeBytes: number): Promise<Buffer>;
  close(): Promise<void>;
}

/**
 * Starts a server whose sessions are created and controlled over HTTP, from Node and from pages: see `FaultSession`.
 *
 * @param root - The folder to which the folders of sessions are relative.
 * @param made - Files that all sessions serve.
 */
export async function startFaultServer(
  root: string,
  made: readonly File[] = [],
): Promise<FaultServer> {
  const sessions = new Map<string, Session>();
  const server = createServer((request, response) => {
    handle(sessions, { root, made }, request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 0;
  await new Promise<void>((done) => server.listen(0, done));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** The files that sessions can serve. */
interface Served {
  readonly root: string;
  readonly made: readonly File[];
}

async function handle(
  sessions: Map<string, Session>,
  served: Served,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Allow-Headers', 'Authorization, If-Range, Range');
  response.setHeader('Access-Control-Allow-Methods', 'GET, HEAD, PUT, POST');
  response.setHeader(
    'Access-Control-Expose-Headers',
    'Content-Range, Content-Length, ETag, Retry-After, X-Linked-ETag, X-Repo-Commit',
  );
  if (request.method === 'OPTIONS') return void response.writeHead(204).end();
  const url = new URL(request.url ?? '/', 'http://localhost');
  const [, kind = '', id = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
  if (kind === 'session') return control(sessions, id, request, response);
  const session = sessions.get(id);
  if (kind === 'upload' && session) {
    session.uploads.push(new File([await receive(request)], rest.join('/')));
    return void response.end();
  }
  if (kind !== 'files' || !session) return void response.writeHead(404).end();
  const made = [...served.made, ...session.uploads];
  const file = { path: rest.join('/'), query: url.search };
  await answer(session, { ...served, made }, file, request, response);
}

/** `POST` creates a session, `PUT` replaces its rules and clears its log, `GET` returns its log. */
async function control(
  sessions: Map<string, Session>,
  id: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const text = (await receive(request)).toString();
  const body = text === '' ? undefined : JSON.parse(text);
  const session = sessions.get(id);
  if (request.method === 'POST') {
    const made = randomUUID();
    sessions.set(made, { setup: body, uploads: [], rules: [], log: [] });
    return void response.end(JSON.stringify(made));
  }
  if (!session) return void response.writeHead(404).end();
  if (request.method === 'PUT') {
    session.rules = body.map((rule: FaultRule) => ({ rule, left: rule.times ?? Infinity }));
    session.log = [];
  }
  response.end(JSON.stringify(session.log));
}

async function receive(request: IncomingMessage): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function answer(
  session: Session,
  served: Served,
  { path, query }: { readonly path: string; readonly query: string },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const record: RequestRecord = {
    path,
    method: request.method ?? '',
    host: request.headers.host ?? '',
    query,
    range: from === undefined ? undefined : [Number(from), Number(to) + 1],
    authorization: request.headers.authorization,
    ifRange: request.headers['if-range'] as string | undefined,
    status: 0,
    sentBytes: 0,
  };
  session.log.push(record);
  const faults = takeFaults(session, record);
  const find = <Kind extends Fault['kind']>(kind: Kind) =>
    faults.find((fault) => fault.kind === kind) as Extract<Fault, { kind: Kind }> | undefined;
  const send = (status: number, headers: Record<string, string | number> = {}): ServerResponse => {
    record.status = status;
    return response.writeHead(status, headers);
  };

  const refusal = find('status');
  if (refusal) return void send(refusal.status, refusal.headers).end('refused');
  const redirect = find('redirect');
  if (redirect) return void send(302, { Location: redirect.to }).end();
  const json = session.setup.json?.[path];
  if (json !== undefined) return void send(200, session.setup.headers).end(JSON.stringify(json));
  let content = await openContent(session.setup, served, path);
  if (!content) return void send(404).end();
  const gzip = find('gzip');
  const isAccepted = /\bgzip\b/.test(String(request.headers['accept-encoding']));
  const isCompressed = gzip !== undefined && (gzip.isForced || isAccepted);
  if (isCompressed) content = await compressed(content);

  const version = find('version');
  const sizeBytes = find('truncate')?.sizeBytes ?? content.sizeBytes;
  const etag = version?.etag ?? '"1"';
  const headers: Record<string, string | number> = {
    ...session.setup.headers,
    // Servers that compress on the fly weaken the ETag.
    ...(session.setup.isWithoutEtag ? {} : { ETag: isCompressed ? `W/${etag}` : etag }),
    ...(isCompressed && { 'Content-Encoding': 'gzip' }),
  };
  const isOther = record.ifRange !== undefined && record.ifRange !== etag;
  const range = find('no-range') || isOther ? undefined : record.range;
  const [start, end] = range ? [range[0], Math.min(range[1], sizeBytes)] : [0, sizeBytes];
  try {
    if (range && start >= sizeBytes) {
      return void send(416, { 'Content-Range': `bytes */${sizeBytes}` }).end();
    }
    if (range) headers['Content-Range'] = `bytes ${start}-${end - 1}/${sizeBytes}`;
    send(range ? 206 : 200, { ...headers, 'Content-Length': end - start });
    if (request.method === 'HEAD') return void response.end();
    response.flushHeaders();
    await sendBody(content, [start, end], faults, record, response);
  } finally {
    await content.close();
  }
}

/** Returns the faults that apply to a request, and counts it against their rules. */
function takeFaults(session: Session, { path, range, query }: RequestRecord): Fault[] {
  const met = session.rules.filter(
    ({ rule, left }) =>
      left > 0 &&
      (rule.path === undefined || path.endsWith(rule.path)) &&
      (rule.query === undefined || query.includes(rule.query)) &&
      (rule.fromBytes === undefined || (range?.[0] ?? 0) >= rule.fromBytes) &&
      (rule.covers === undefined ||
        (rule.covers >= (range?.[0] ?? 0) && rule.covers < (range?.[1] ?? Infinity))),
  );
  for (const entry of met) entry.left--;
  return met.map(({ rule }) => rule.fault);
}

async function sendBody(
  content: Content,
  [start, end]: readonly [number, number],
  faults: readonly Fault[],
  record: RequestRecord,
  response: ServerResponse,
): Promise<void> {
  const closed = new Promise((done) => response.once('close', done));
  for (let at = start; at < end && !response.destroyed; ) {
    const piece = await content.read(at, Math.min(content.pieceBytes, end - at));
    let sendable = piece.length;
    let ending: 'cut' | 'stall' | undefined;
    for (const fault of faults) {
      if (fault.kind === 'wrong' && fault.at >= at && fault.at < at + piece.length) {
        piece[fault.at - at] = (piece[fault.at - at] as number) ^ 0xff;
      } else if (fault.kind === 'version') {
        for (let i = 0; i < piece.length; i++) piece[i] = (piece[i] as number) ^ fault.flip;
      } else if (fault.kind === 'cut' || fault.kind === 'stall') {
        const left = fault.afterBytes - (at - start);
        if (left < sendable) {
          sendable = Math.max(0, left);
          ending = fault.kind;
        }
      } else if (fault.kind === 'slow') {
        await sleep((1000 * piece.length) / fault.bytesPerSecond);
      }
    }
    if (sendable > 0 && !response.destroyed) {
      const isTaken = response.write(piece.subarray(0, sendable));
      record.sentBytes += sendable;
      if (!isTaken) {
        await Promise.race([new Promise((done) => response.once('drain', done)), closed]);
      }
    }
    if (ending === 'cut') {
      await sleep(5); // lets written bytes leave first
      return void response.destroy();
    }
    if (ending === 'stall') return; // the connection stays open
    at += piece.length;
  }
  response.end();
}

async function openContent(
  { folder, sizes }: SessionSetup,
  { root, made }: Served,
  path: string,
): Promise<Content | undefined> {
  const file = made.find(({ name }) => name === path);
  if (file) return madeContent(file);
  const size = sizes?.[path];
  if (size !== undefined) return syntheticContent(size);
  if (folder === undefined || path.split('/').includes('..')) return undefined;
  const place = join(root, folder, path);
  const found = await stat(place).catch(() => undefined);
  if (!found?.isFile()) return undefined;
  const handle = await open(place);
  return {
    sizeBytes: found.size,
    pieceBytes: PIECE_BYTES,
    async read(offsetBytes, sizeBytes) {
      const bytes = Buffer.alloc(sizeBytes);
      await handle.read(bytes, 0, sizeBytes, offsetBytes);
      return bytes;
    },
    close: () => handle.close(),
  };
}

async function compressed(content: Content): Promise<Content> {
  const bytes = gzipSync(await content.read(0, content.sizeBytes));
  return { ...madeContent(new File([bytes], '')), close: () => content.close() };
}

function madeContent(file: File): Content {
  return {
    sizeBytes: file.size,
    pieceBytes: MADE_PIECE_BYTES,
    read: async (offsetBytes, count) =>
      Buffer.from(await file.slice(offsetBytes, offsetBytes + count).arrayBuffer()),
    close: async () => undefined,
  };
}

/** Bytes that depend on their offset, so that a misplaced piece shows. */
function syntheticContent(sizeBytes: number): Content {
  return {
    sizeBytes,
    pieceBytes: PIECE_BYTES,
    read: async (offsetBytes, count) => {
      const bytes = Buffer.alloc(count, 0x5a);
      const number = Buffer.alloc(6);
      const end = offsetBytes + count;
      for (let at = offsetBytes - (offsetBytes % 0x1000); at < end; at += 0x1000) {
        number.writeUIntBE(at, 0, 6);
        for (const [i, byte] of number.entries()) {
          if (at + i >= offsetBytes && at + i < end) bytes[at + i - offsetBytes] = byte;
        }
      }
      return bytes;
    },
    close: async () => undefined,
  };
}
