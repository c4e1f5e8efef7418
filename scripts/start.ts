// npm start serves the demo with its embedded model, and prints its address.
// npm start -- "a question" asks the model in a headless Chrome, and prints the answer.
import { ask } from './ask.ts';
import { buildDemo } from './build.ts';
import { type FolderServer, serveFolder } from './static-server.ts';

const PORT = 8080;

/**
 * Builds and serves the demo, or answers a question with it.
 *
 * @param args - The words of the question; if there are none, the demo is served.
 * @throws Error if no browser is found or no answer comes.
 */
export async function main(args: readonly string[]): Promise<void> {
  const question = args.join(' ').trim();
  console.error('Building the demo');
  await buildDemo();
  if (question === '') {
    const { url } = await serve();
    console.log(`\nossicle runs at ${url}/\nOpen it in Chrome. Ctrl+C stops it.`);
    return;
  }
  const server = await serveFolder('demo/dist');
  try {
    await ask(`${server.url}/headless.html`, question);
  } finally {
    await server.close();
  }
}

/** Serves on {@link PORT}, or on any free port if it is taken. */
function serve(): Promise<FolderServer> {
  return serveFolder('demo/dist', PORT).catch(() => serveFolder('demo/dist'));
}
