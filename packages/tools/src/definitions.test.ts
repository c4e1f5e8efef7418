import { readFile } from 'node:fs/promises';
import { createTokenizer, renderConversation } from '@ossicle/harmony';
import { expect, test } from 'vitest';
import { createBrowser, createDocumentBackend, createPython } from './index.ts';

test('python and browser are described to the model as OpenAI’s renderer does', async () => {
  const json = await readFile('demo/public/models/gpt-oss-nano/tokenizer.json', 'utf8');
  const tokenizer = createTokenizer(JSON.parse(json));
  const python = createPython({ indexURL: 'https://example.com/pyodide/' });
  const browser = createBrowser({ backend: createDocumentBackend([]) });
  const ids = renderConversation(tokenizer, [], { systemTools: [python, browser] });
  const text = new TextDecoder().decode(
    Uint8Array.from(ids.flatMap((id) => [...(tokenizer.tokenBytes(id) ?? [])])),
  );
  for (const name of ['browser', 'python']) {
    expect(text).toContain(await readFile(`packages/tools/test/golden/${name}.txt`, 'utf8'));
  }
  const short = createPython({ indexURL: 'https://example.com/', timeLimitMs: 1500 });
  expect(short.description).toContain('time out after 1.5 seconds');
});
