import {
  createServer,
  request as forward,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/** A proxy through which a browser context makes the requests of its pages, workers and service workers. */
export interface RecordingProxy {
  /** Its URL, for a browser context to use. */
  readonly address: string;
  /** The URLs requested so far, in order; for encrypted connections, the host. */
  readonly requests: string[];
  /** Holds back the requests for which it returns true, until it is replaced; `range` is the header. */
  held: ((url: string, range: string | undefined) => boolean) | undefined;
  /** Cuts the network: everything fails from now on. */
  cut(): void;
  /** Stops it. */
  close(): Promise<void>;
}

const HOLD_CHECK_MS = 50;

/** Starts a proxy that passes plain HTTP on and refuses encrypted connections. */
export async function startRecordingProxy(): Promise<RecordingProxy> {
  const requests: string[] = [];
  let isCut = false;
  const pass = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = incoming.url ?? '';
    requests.push(url);
    while (proxy.held?.(url, incoming.headers.range) && !isCut && !response.destroyed)
      await new Promise((resolve) => setTimeout(resolve, HOLD_CHECK_MS));
    if (isCut || response.destroyed) {
      response.destroy();
      return;
    }
    const outgoing = forward(
      url,
      { method: incoming.method, headers: incoming.headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    outgoing.on('error', () => response.destroy());
    incoming.pipe(outgoing);
  };
  const server = createServer((incoming, response) => void pass(incoming, response));
  server.on('connect', (incoming, socket) => {
    requests.push(`https://${incoming.url}/`);
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const proxy: RecordingProxy = {
    address: `http://localhost:${(server.address() as AddressInfo).port}`,
    requests,
    held: undefined,
    cut: () => {
      isCut = true;
      server.closeAllConnections();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}
