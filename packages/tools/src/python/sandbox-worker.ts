// Python in the sandbox. It is bundled into the package as text: the frame of the sandbox starts it.
import type { PyodideAPI } from 'pyodide';
import notebookSource from './notebook.py?raw';
import type { FromWorker, SandboxFile, ToWorker } from './sandbox-messages.ts';

/** Stands for the folder of Pyodide's files, which only the page can read. */
const PYODIDE = 'https://pyodide.invalid/';

/**
 * Ways out that the policy of the frame closes as well; without them, Python's libraries say plainly that there is no
 * network. Pyodide takes a worker with `importScripts` for one that cannot import modules. (Chrome does not start a module as
 * a worker from a frame without an origin.)
 */
const CONNECTIONS = [
  'XMLHttpRequest',
  'WebSocket',
  'EventSource',
  'WebTransport',
  'Worker',
  'importScripts',
];

/** What {@link notebookSource} has of a notebook. */
interface Notebook {
  run(code: string): Promise<string>;
}

type Start = ToWorker & { readonly type: 'start' };

self.onmessage = ({ ports: [port] }) => {
  if (port) serve(port);
};

function serve(port: MessagePort): void {
  const say = (message: FromWorker): void => port.postMessage(message);
  const crash = (error: unknown): void => say({ type: 'crashed', message: String(error) });
  /** Name → those who wait for the file. */
  const readers = new Map<string, (bytes?: ArrayBuffer) => void>();
  const read = (name: string): Promise<ArrayBuffer | undefined> =>
    new Promise((resolve) => {
      readers.set(name, resolve);
      say({ type: 'read', name });
    });

  let session: Promise<Session> | undefined;
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    if (data.type === 'file') readers.get(data.name)?.(data.bytes);
    if (data.type === 'start') {
      session = start(data, read);
      session.catch(crash);
    }
    if (data.type === 'run') {
      session
        ?.then((ready) => ready.run(data, () => say({ type: 'running' })))
        .then(say)
        .catch(crash);
    }
  };
}

/** Python, and what runs code in it. */
interface Session {
  run(
    cell: ToWorker & { readonly type: 'run' },
    onRunning: () => void,
  ): Promise<FromWorker & { readonly type: 'result' }>;
}

async function start(
  { memoryLimit, outputLimit, fileLimit, files }: Start,
  read: (name: string) => Promise<ArrayBuffer | undefined>,
): Promise<Session> {
  for (const name of CONNECTIONS) Reflect.deleteProperty(globalThis, name);
  limitMemory(memoryLimit);
  globalThis.fetch = async (input) => {
    const url = String(input instanceof Request ? input.url : input);
    const bytes = url.startsWith(PYODIDE) ? await read(url.slice(PYODIDE.length)) : undefined;
    if (!bytes) throw new TypeError(`There is no network here: ${url} cannot be fetched.`);
    const type = url.endsWith('.wasm') ? 'application/wasm' : 'application/octet-stream';
    return new Response(bytes, { headers: { 'content-type': type } });
  };
  const importModule = async (name: string) => {
    const bytes = await (await fetch(PYODIDE + name)).arrayBuffer();
    const url = URL.createObjectURL(new Blob([bytes], { type: 'text/javascript' }));
    return import(/* @vite-ignore */ url);
  };

  const [{ loadPyodide }, module] = await Promise.all(
    ['pyodide.mjs', 'pyodide.asm.mjs'].map(importModule),
  );
  const pyodide: PyodideAPI = await loadPyodide({
    indexURL: PYODIDE,
    lockFileURL: `${PYODIDE}pyodide-lock.json`,
    createPyodideModule: module.default,
    env: { MPLBACKEND: 'AGG' },
    stdin: () => null,
    stdout: () => undefined,
    stderr: () => undefined,
  });
  const scope = pyodide.toPy({});
  pyodide.runPython(notebookSource, { globals: scope, filename: 'notebook.py' });
  const notebook: Notebook = scope.get('Notebook')(outputLimit);

  const put = async (added: readonly SandboxFile[]): Promise<void> => {
    for (const { path, blob } of added) {
      pyodide.FS.mkdirTree(path.slice(0, path.lastIndexOf('/')));
      pyodide.FS.writeFile(path, new Uint8Array(await blob.arrayBuffer()));
    }
  };
  await put(files);

  return {
    run: async (cell, onRunning) => {
      await put(cell.files);
      // A package that is missing shows itself when the code imports it.
      const quiet = { messageCallback: () => undefined, errorCallback: () => undefined };
      await pyodide.loadPackagesFromImports(cell.code, quiet).catch(() => undefined);
      onRunning();
      const { text, failed, files, images } = JSON.parse(await notebook.run(cell.code));
      let left = fileLimit;
      const leftOut: string[] = [];
      const blobOf = (path: string, type: string): Blob[] => {
        const bytes: Uint8Array<ArrayBuffer> = pyodide.FS.readFile(path);
        if (bytes.length > left) leftOut.push(path);
        left -= Math.min(left, bytes.length);
        return leftOut.at(-1) === path ? [] : [new Blob([bytes], { type })];
      };
      const result = {
        files: files.flatMap((path: string) => blobOf(path, '').map((blob) => ({ path, blob }))),
        images: images.flatMap((path: string) => blobOf(path, 'image/png')),
      };
      const note = `[too large to be handed over: ${leftOut.join(', ')}]\n`;
      return { type: 'result', text: leftOut.length > 0 ? text + note : text, failed, ...result };
    },
  };
}

/** Lets no memory of WebAssembly grow beyond a limit; Python raises a MemoryError then. */
function limitMemory(limit: number): void {
  const grow = WebAssembly.Memory.prototype.grow;
  WebAssembly.Memory.prototype.grow = function (this: WebAssembly.Memory, pages: number) {
    if (this.buffer.byteLength + pages * 65_536 > limit) {
      throw new RangeError(`Python may use ${limit} bytes of memory.`);
    }
    return grow.call(this, pages);
  };
}
