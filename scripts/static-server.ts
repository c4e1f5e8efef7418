import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, resolve, sep } from 'node:path';

const CONTENT_TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
};

/** A server of one folder. */
export interface FolderServer {
  /** Address without a trailing slash. */
  readonly url: string;
  /** Stops the server and drops its connections. */
  close(): Promise<void>;
}

/**
 * Serves the files of a folder as a static host does: with ranges and 404, without listings, to every origin.
 *
 * @param folder - Path of the folder. The URL of a folder gives its `index.html`.
 * @param port - 0: any free port.
 * @param headers - More headers for every answer.
 * @throws Error if the port is taken.
 */
export async function serveFolder(
  folder: string,
  port = 0,
  headers: Readonly<Record<string, string>> = {},
): Promise<FolderServer> {
  const root = resolve(folder);
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    answer(root, request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.keepAliveTimeout = 0; // keep the connection of a client that is busy for seconds
  await listen(server, port);
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(port, 'localhost', () => done());
  });
}

async function answer(
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Allow-Headers', '*');
  response.setHeader('Access-Control-Expose-Headers', 'Content-Range, Content-Length, ETag');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Cache-Control', 'no-cache');
  if (request.method === 'OPTIONS') return end(response, 204);
  if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405);

  const file = await findFile(root, request.url ?? '/');
  if (file === undefined) return end(response, 404);
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('ETag', file.etag);
  response.setHeader(
    'Content-Type',
    CONTENT_TYPES[extname(file.path)] ?? 'application/octet-stream',
  );
  const header = request.headers.range;
  const range = header === undefined ? undefined : parseRange(header, file.size);
  if (range === 'unsatisfiable') {
    response.setHeader('Content-Range', `bytes */${file.size}`);
    return end(response, 416);
  }
  if (range === undefined && request.headers['if-none-match'] === file.etag)
    return end(response, 304);
  const { start, end: last } = range ?? { start: 0, end: file.size };
  if (range) response.setHeader('Content-Range', `bytes ${start}-${last - 1}/${file.size}`);
  response.setHeader('Content-Length', last - start);
  response.statusCode = range ? 206 : 200;
  if (request.method === 'HEAD' || last === start) {
    response.end();
    return;
  }
  createReadStream(file.path, { start, end: last - 1 })
    .on('error', () => response.destroy())
    .pipe(response);
}

function end(response: ServerResponse, status: number): void {
  response.statusCode = status;
  response.end();
}

async function findFile(
  root: string,
  url: string,
): Promise<{ path: string; size: number; etag: string } | undefined> {
  let pathname: string;
  try {
    pathname = decodeURIComponent(url.replace(/[?#].*$/s, ''));
  } catch {
    return undefined;
  }
  let path = join(root, pathname);
  if (pathname.includes('\0') || (path !== root && !path.startsWith(root + sep))) return undefined;
  let found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) {
    path = join(path, 'index.html');
    found = await stat(path).catch(() => undefined);
  }
  if (!found?.isFile()) return undefined;
  return { path, size: found.size, etag: `"${found.size}-${Math.round(found.mtimeMs)}"` };
}

/** A half-open range of bytes; `undefined` if this server does not support the header. */
function parseRange(
  header: string,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header);
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const [, first = '', last = ''] = match;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  return start < end ? { start, end } : 'unsatisfiable';
}
