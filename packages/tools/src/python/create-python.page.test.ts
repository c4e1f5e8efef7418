import { afterAll, describe, expect, inject, test, vi } from 'vitest';
import { call, createModel, run } from '../../../core/test/scripted-model.ts';
import { createPython, type Python, type PythonOptions } from './create-python.ts';

const indexURL = `${inject('fileServer')}/node_modules/pyodide`;
const create = (options: Partial<PythonOptions> = {}): Python =>
  createPython({ indexURL, ...options });

const python = create({ outputLimit: 1000, memoryLimit: 2 ** 27 });
afterAll(() => python.dispose());

const textOf = async (code: string): Promise<string> => (await python.run(code)).text;

/** Code that makes the bytes `png`, an image of one red pixel, with nothing but the standard library. */
const PNG = `import struct, zlib
def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
png = b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 1, 1, 8, 2, 0, 0, 0))
png += chunk(b'IDAT', zlib.compress(b'\\0\\xff\\0\\0')) + chunk(b'IEND', b'')
`;

/** The first pixel of an image. */
async function pixelOf(image: Blob): Promise<number[]> {
  const context = new OffscreenCanvas(1, 1).getContext('2d')!;
  context.drawImage(await createImageBitmap(image), 0, 0);
  return [...context.getImageData(0, 0, 1, 1).data];
}

describe('a call of python', () => {
  test('gives what is printed and the last value; the next one has its variables', async () => {
    const code = 'import sys\nx = 6\nprint("out")\nprint("err", file=sys.stderr)\nx * 7';
    const result = { text: 'out\nerr\n42\n', failed: false, files: [], images: [] };
    expect(await python.run(code)).toEqual(result);
    expect(await textOf('x += 1; print(x)')).toBe('7\n');
    expect(await textOf('import asyncio\nawait asyncio.sleep(0, _)')).toBe('42\n');
  });

  test('gives the traceback of an exception, from the code on', async () => {
    const { text, failed } = await python.run('def f():\n    return 1 / 0\nf()');
    expect(failed).toBe(true);
    expect(text).toMatch(/^Traceback .*\n {2}File "cell_\d+\.py", line 3, in <module>\n {4}f\(\)/);
    expect(text).toMatch(
      /line 2, in f\n {4}return 1 \/ 0\n.*\nZeroDivisionError: division by zero\n$/s,
    );
    expect(await textOf('(')).toContain('SyntaxError');
    expect(await textOf('raise SystemExit')).toContain('SystemExit');
    expect(await textOf('input()')).toContain('EOFError');
    expect(await textOf('import numpy')).toContain("No module named 'numpy'");
  });

  test('gives the beginning and the end of 10 MB of output', async () => {
    const text = await textOf('print("begin", "x" * 10_000_000)\nfor i in range(5000): print(i)');
    expect(text).toMatch(/^begin x{494}\n\[\d+ characters left out\]\n.*4998\n4999\n$/s);
    expect(text.length).toBeLessThan(1100);
  });

  test('gives files that are new or have changed, and images that are shown', async () => {
    const { text, files, images } = await python.run(
      `${PNG}open('red.png', 'wb').write(png)\nclass Image:\n    def _repr_png_(self): return png\nImage()`,
    );
    expect(text).toMatch(/^\[image 1, \d+ bytes of PNG\]\n$/);
    expect(files.map(({ path }) => path)).toEqual(['/mnt/data/red.png']);
    expect(images.map(({ type }) => type)).toEqual(['image/png']);
    for (const image of [...images, files[0]!.blob]) {
      expect(await pixelOf(image)).toEqual([255, 0, 0, 255]);
    }
    expect((await python.run('1')).files).toEqual([]);
    const changed = await python.run("import os; os.mkdir('a'); open('a/b', 'w').write('hello')");
    expect(changed.files[0]!.path).toBe('/mnt/data/a/b');
    expect(await changed.files[0]!.blob.text()).toBe('hello');
  });

  test('reads the files of the application', async () => {
    python.addFile('tables/in.csv', new Blob(['a,b\n1,2\n']));
    expect(await textOf("open('/mnt/data/tables/in.csv').read()")).toBe("'a,b\\n1,2\\n'\n");
  });

  test('raises a MemoryError at the limit, and goes on', async () => {
    expect(await textOf('big = []\nwhile True: big.append(bytearray(2**24))')).toMatch(
      /MemoryError\n$/,
    );
    expect(await textOf('del big\n1 + 1')).toBe('2\n');
  });

  test('waits for the call before it', async () => {
    const first = python.run('import asyncio\nawait asyncio.sleep(0.2)\norder = [1]');
    const second = python.run('order + [2]');
    await first;
    expect((await second).text).toBe('[1, 2]\n');
  });
});

describe('the sandbox', () => {
  const url = `${inject('fileServer')}/package.json`;

  test.each([
    ['urllib', `import urllib.request\nurllib.request.urlopen('${url}')`],
    ['a socket', "import socket\nsocket.create_connection(('localhost', 80))"],
    ['open_url', `from pyodide.http import open_url\nopen_url('${url}')`],
    ['pyfetch', `from pyodide.http import pyfetch\nawait pyfetch('${url}')`],
    ['fetch', `import js\nawait js.fetch('${url}')`],
    [
      'another file of the folder of Pyodide',
      "import js\nawait js.fetch('https://pyodide.invalid/package.json')",
    ],
    [
      'import()',
      `import js\nawait js.eval("import('${inject('fileServer')}/node_modules/pyodide/pyodide.mjs')")`,
    ],
    ['WebSocket', "import js\njs.WebSocket.new('ws://localhost')"],
    ['OPFS', 'import js\nawait js.navigator.storage.getDirectory()'],
    ['IndexedDB', "import js\njs.indexedDB.open('keyval-store')"],
    ['a cache', "import js\nawait js.caches.open('x')"],
  ])('does not let %s reach anything', async (_, code) => {
    const { text, failed } = await python.run(`${code}\nprint('reached')`);
    expect(text).not.toContain('reached');
    expect(failed).toBe(true);
  });

  test('closes the ways out by its policy, too', async () => {
    // A frame of the same text, whose worker has kept what sandbox-worker.ts deletes.
    const { default: html } = await import('./sandbox.html?raw');
    const frame = document.createElement('iframe');
    frame.sandbox.add('allow-scripts');
    frame.srcdoc = html;
    const { port1, port2 } = new MessageChannel();
    const worker = new Blob([
      `onmessage = async ({ ports: [port] }) => {
        const answers = await Promise.allSettled([
          fetch('${url}'),
          new Promise((resolve, reject) => {
            const request = new XMLHttpRequest();
            request.onload = resolve;
            request.onerror = reject;
            request.open('GET', '${url}');
            request.send();
          }),
          new Promise((resolve, reject) => {
            const socket = new WebSocket('${url.replace('http', 'ws')}');
            socket.onopen = resolve;
            socket.onerror = reject;
          }),
          import('${url}'),
          (async () => importScripts('data:text/javascript,'))(),
        ]);
        port.postMessage(answers.map(({ status }) => status));
      };`,
    ]);
    frame.onload = () =>
      frame.contentWindow!.postMessage(worker, '*', [new MessageChannel().port1, port2]);
    document.body.append(frame);
    const answers = await new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data);
    });
    frame.remove();
    expect(answers).toEqual(Array.from({ length: 5 }, () => 'rejected'));
  });
});

test('the frame starts nothing where it is not sandboxed: other sites could open it', async () => {
  const { default: html } = await import('./sandbox.html?raw');
  const frame = document.createElement('iframe');
  frame.srcdoc = html;
  const worker = new Blob(['onmessage = ({ ports }) => ports[0].postMessage("runs");']);
  const ports = [new MessageChannel(), new MessageChannel()];
  frame.onload = () =>
    frame.contentWindow!.postMessage(
      worker,
      '*',
      ports.map((channel) => channel.port2),
    );
  document.body.append(frame);
  const answer = await new Promise((resolve) => {
    for (const channel of ports) channel.port1.onmessage = ({ data }) => resolve(data);
  });
  frame.remove();
  expect(answer).toMatchObject({ type: 'crashed', message: expect.stringMatching(/sandbox/) });
});

const short = create({ timeLimitMs: 500 });
afterAll(() => short.dispose());

test('a package is loaded when code imports it, if it has its hash', async () => {
  const { files } = await python.run(`import zipfile
with zipfile.ZipFile('tiny-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('tiny.py', 'size = 7')
    wheel.writestr('tiny-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n')
    wheel.writestr('tiny-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nTag: py3-none-any\\n')`);
  const wheel = files[0]!.blob;
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await wheel.arrayBuffer()));
  const sha256 = [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const lock = await (await fetch(`${indexURL}/pyodide-lock.json`)).json();
  for (const [name, own] of [
    ['tiny', sha256],
    ['forged', sha256.replace(/./g, '0')],
  ]) {
    lock.packages[name!] = {
      ...{ name, version: '1.0', sha256: own, imports: [name], depends: [], install_dir: 'site' },
      ...{ file_name: `${name}-1.0-py3-none-any.whl`, package_type: 'package' },
      unvendored_tests: false,
    };
  }
  const served = new Map([
    ['pyodide-lock.json', new Blob([JSON.stringify(lock)])],
    ['tiny-1.0-py3-none-any.whl', wheel],
    ['forged-1.0-py3-none-any.whl', wheel],
  ]);
  const { fetch: read } = globalThis;
  const spy = vi.spyOn(globalThis, 'fetch').mockImplementation((url, init) => {
    const blob = served.get(String(url).split('/').at(-1)!);
    return read(blob ? URL.createObjectURL(blob) : url, init);
  });
  expect(await short.run('import tiny; tiny.size')).toMatchObject({ text: '7\n' });
  expect((await short.run('import forged')).text).toContain("No module named 'forged'");
  spy.mockRestore();
});

describe('python after the end of a call', () => {
  test('by the limit of time goes on with its files, without its variables', async () => {
    await short.run("x = 1\nopen('kept.txt', 'w').write('kept')");
    await expect(short.run('while True: pass')).rejects.toThrow(/more than 0\.5 seconds/);
    expect((await short.run("open('kept.txt').read(), 'x' in globals()")).text).toBe(
      "('kept', False)\n",
    );
  });

  test('by a signal or a reset goes on, with one frame', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const looping = short.run('while True: pass', { signal });
    const waiting = short.run('1', { signal });
    setTimeout(() => controller.abort(new Error('enough')), 200);
    await expect(looping).rejects.toThrow('enough');
    await expect(waiting).rejects.toThrow('enough');
    const frames = document.querySelectorAll('iframe').length;
    const reset = short.run('while True: pass');
    setTimeout(() => short.reset(), 100);
    await expect(reset).rejects.toThrow('reset');
    expect((await short.run("import os; os.listdir('.')")).text).toBe('[]\n');
    expect(document.querySelectorAll('iframe').length).toBe(frames + 1);
  });

  test('by its disposal does not', async () => {
    const disposed = short.run('while True: pass');
    setTimeout(() => short.dispose(), 100);
    await expect(disposed).rejects.toThrow('disposed of');
    await expect(short.run('1')).rejects.toThrow('disposed of');
    expect(document.querySelectorAll('iframe').length).toBe(1);
  });
});

test('the model reads the text, and the application gets the files', async () => {
  const code = (text: string) => [call('python', undefined, text)];
  const model = createModel(code("open('a.txt', 'w').write('hi')"), code('1 / 0'), 'Done.');
  const { events, result } = await run(model, { builtInTools: [python] });
  expect(result.text).toBe('Done.');
  expect(model.prompts[1]!.at(-1)).toMatchObject({ role: 'tool', name: 'python', content: '2\n' });
  expect(model.prompts[2]!.at(-1)!.content).toContain('ZeroDivisionError');
  const outputs = events.flatMap((event) => (event.type === 'tool-result' ? [event.output] : []));
  expect(outputs).toMatchObject([{ files: [{ path: '/mnt/data/a.txt' }] }, { failed: true }]);
});

test('the model reads that Python cannot be loaded, and is not loaded before it is called', async () => {
  const missing = create({ indexURL: `${inject('fileServer')}/missing` });
  expect(document.querySelectorAll('iframe').length).toBe(1);
  const model = createModel([call('python', undefined, '1')], 'Done.');
  const { events } = await run(model, { builtInTools: [missing] });
  expect(events.find(({ type }) => type === 'tool-error')).toMatchObject({
    error: expect.stringMatching(/^Python could not be loaded: .*missing\/\S+: .* 404$/),
  });
});

test('wrong options are refused', () => {
  expect(() => create({ indexURL: 'http://' })).toThrow(TypeError);
  expect(() => createPython({} as PythonOptions)).toThrow(/indexURL/);
  expect(() => create({ timeLimitMs: 0 })).toThrow(RangeError);
  expect(() => create({ memoryLimit: Number.NaN })).toThrow(/memoryLimit must be above 0/);
});
