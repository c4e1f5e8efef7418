import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Config, PRESETS } from '../../packages/core/test/config.ts';
import { type FaultServer, startFaultServer } from '../../packages/core/test/fault-server.ts';
import { FaultSession } from '../../packages/core/test/fault-session.ts';
import { slowTest } from '../../packages/core/test/slow.ts';
import { axeViolations } from '../test/axe-violations.ts';
import { DemoBrowser } from '../test/demo-browser.ts';
import type { DemoPage } from '../test/demo-page.ts';
import { writeSparseCheckpoint } from '../test/sparse-checkpoint.ts';

const NANO = 'demo/public/models/gpt-oss-nano';
const FIRST = 'model-00001-of-00002.safetensors';
const SECOND = 'model-00002-of-00002.safetensors';
/** More than all headers of a checkpoint, less than any of its chunks. */
const HEADER_BYTES = 100_000;

const LARGE: Config = { ...PRESETS.nano, vocabulary: 200_000, hidden: 192 };
/** Experts of 2 GiB, in sparse files: more than SwiftShader binds. */
const UNFIT: Config = { ...PRESETS.nano, hidden: 32_768, intermediate: 65_536 };

// One visitor's story, of a model on another host: each test continues from the one before.
let folder: string;
let faults: FaultServer;
let session: FaultSession;
let browser: DemoBrowser;
let demo: DemoPage;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ossicle-checkpoints-'));
  await Promise.all(
    ['owner/nano', 'openai/gpt-oss-20b'].map((repository) =>
      mkdir(join(folder, 'hub', repository, 'resolve'), { recursive: true }),
    ),
  );
  await Promise.all([
    symlink(resolve(NANO), join(folder, 'nano')),
    symlink(resolve(NANO), join(folder, 'hub/owner/nano/resolve/main')),
    symlink(join(folder, 'large'), join(folder, 'hub/openai/gpt-oss-20b/resolve/main')),
    writeSparseCheckpoint(join(folder, 'large'), LARGE),
    writeSparseCheckpoint(join(folder, 'unfit'), UNFIT),
  ]);
  [faults, browser] = await Promise.all([startFaultServer(folder), DemoBrowser.start()]);
  session = await FaultSession.start(faults.url, { folder: 'nano' });
});
afterAll(async () => {
  await browser.close();
  await faults.close();
  await rm(folder, { recursive: true });
});

/** Waits until the store's own record says that a file is stored whole. */
const isStored = (path: string): Promise<unknown> =>
  demo.page.waitForFunction(
    async (wanted) => {
      const database = await new Promise<IDBDatabase>((done, fail) => {
        const request = indexedDB.open('ossicle');
        request.onsuccess = () => done(request.result);
        request.onerror = () => fail(request.error);
      });
      const records = await new Promise<{ files: { path: string; isStored: Uint8Array }[] }[]>(
        (done) => {
          const request = database.transaction('models').objectStore('models').getAll();
          request.onsuccess = () => done(request.result);
        },
      );
      database.close();
      return records.some(({ files }) =>
        files.some(({ path, isStored }) => path === wanted && isStored.every((chunk) => chunk > 0)),
      );
    },
    { polling: 100 },
    path,
  );

/** Clicks the button of a stored model that has this label. */
const manage = (label: string): Promise<void> => demo.click(`.stored [aria-label^="${label} "]`);

/** Deletes the stored model that was used last. */
async function deleteFirst(): Promise<void> {
  await manage('Delete');
  await demo.click('#confirm button[value=yes]');
}

test('a paused download shows how much is downloaded', async () => {
  await session.script({
    path: SECOND,
    covers: 1_000_000,
    fault: { kind: 'stall', afterBytes: 9 },
  });
  demo = await browser.open(`?model=${encodeURIComponent(session.url)}`);
  await demo.page.waitForSelector('#model-panel[open]');
  await demo.page.keyboard.press('Enter');
  await isStored(FIRST);
  await demo.click('#pause-load');
  expect(await demo.textLike('.is-paused', /downloaded/)).toMatch(
    /is paused\s+1\.\d\d of 3\.\d\d MB downloaded/,
  );
  expect(await axeViolations(demo.page)).toEqual([]);
});

test('a resumed download continues from what is stored', async () => {
  await demo.click('#resume-load');
  await demo.textLike('.load-strip', /Downloading [\s\S]*1\.\d\d of 3\.\d\d MB/);
});

test('a paused download is shown again after a reload', async () => {
  await demo.click('#pause-load');
  await demo.page.waitForSelector('.is-paused');
  await demo.page.reload();
  await demo.ready(); // the embedded model, meanwhile
  expect(await demo.textLike('.is-paused', /downloaded/)).toMatch(
    /1\.\d\d of 3\.\d\d MB downloaded/,
  );
});

test('the model panel offers to resume a paused download', async () => {
  await demo.openStored();
  expect(await demo.text('.stored')).toMatch(/1\.\d\d of 3\.\d\d MB downloaded[\s\S]*Resume/);
  await demo.page.keyboard.press('Escape');
});

test('a download resumed after a reload fetches only what is missing', async () => {
  await session.script();
  await demo.click('#resume-load');
  await demo.page.waitForSelector('[data-status=loading]');
  await demo.ready();
  expect(await demo.count('#notice > *')).toBe(0);
  expect(await session.sentBytes(FIRST)).toBeLessThan(HEADER_BYTES);
  expect(await session.sentBytes(SECOND)).toBeGreaterThan(HEADER_BYTES);
});

test('an undamaged model is verified as intact', async () => {
  await demo.openStored();
  await demo.click('.stored li:first-child [aria-label^="Verify "]');
  expect(await demo.textLike('.task', /Intact/)).toMatch(/3\.\d\d MB read, every byte/);
});

test('a wrong byte in a stored model is found, and its file named', async () => {
  await demo.page.evaluate(async (path) => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('ossicle');
    for await (const model of root.values() as AsyncIterable<FileSystemDirectoryHandle>)
      for await (const file of model.values() as AsyncIterable<FileSystemFileHandle>)
        if (file.name.includes(path)) {
          const write = await file.createWritable({ keepExistingData: true });
          await write.write({ type: 'write', position: 700_000, data: new Uint8Array([7, 7]) });
          await write.close();
        }
  }, '00002-of-00002');
  await demo.click('.stored li:first-child [aria-label^="Verify "]');
  expect(await demo.textLike('.task', /Damaged/)).toMatch(/Damaged: 1\.\d\d MB in model-00002-of/);
});

test('a damaged model is healed by downloading only the damaged chunk', async () => {
  await session.script();
  await demo.click('.task.is-bad button');
  await isStored(SECOND);
  expect(await session.sentBytes(FIRST)).toBeLessThan(HEADER_BYTES);
  await demo.ready();
  await demo.openStored();
  await demo.click('.stored li:first-child [aria-label^="Verify "]');
  await demo.textLike('.task', /Intact/);
  await demo.page.keyboard.press('Escape');
});

let exported: string;
test('a stored model is exported to a folder that the user picks', async () => {
  await demo.pickFolderNext('exported');
  await demo.openStored();
  exported = await demo.text('.stored li:first-child strong');
  await manage('Export');
  await demo.textLike('.task', new RegExp(`Exported to the folder exported/${exported}`));
});

test('a deleted model leaves the list', async () => {
  const models = await demo.count('.stored li');
  await deleteFirst();
  await demo.page.waitForFunction(
    (before) => document.querySelectorAll('.stored li').length < before,
    {},
    models,
  );
});

test('an exported folder is imported as the model it names', async () => {
  await demo.pickFolderNext(`exported/${exported}`);
  await demo.click('.storage > .button');
  await demo.textLike('.storage > .task', /Imported import:http/);
  await demo.page.waitForSelector(`.stored [aria-label="Load ${exported}"]`);
});

test('a folder that names no model is imported as the one the user enters', async () => {
  await demo.page.evaluate(async (folderName) => {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle('exported');
    await (await folder.getDirectoryHandle(folderName)).removeEntry('ossicle.json');
  }, exported);
  await demo.click('.storage > .button');
  await demo.textLike('.storage > .task', /does not say which model it holds/);
  await demo.page.keyboard.type('owner/nano\n');
  await demo.textLike('.storage > .task', /Imported import:owner\/nano@main/);
  await demo.page.waitForSelector('.stored [aria-label="Load nano"]');
  await deleteFirst();
  await demo.page.keyboard.press('Escape');
});

let large: FaultSession;
test('a large download is described before it begins', async () => {
  large = await FaultSession.start(faults.url, { folder: 'large' });
  await demo.loadFrom(large.url);
  await demo.page.waitForSelector('#preflight[open]');
  const report = await demo.text('#preflight');
  expect(report).toMatch(/can run here/);
  expect(report).toMatch(/GPU memory needed\s+\d+ MB/);
  expect(report).toMatch(/Storage needed\s+\d+ MB\s+The browser reports [\d.]+ \wB available/);
  expect(report).toMatch(/Speed\s+At most [\d.]+ tokens\/s\s+Each token .* copied/);
  expect(await demo.text('#preflight .big')).toMatch(/^Download 1\d\d MB$/);
  expect(await large.sentBytes('.safetensors')).toBeLessThan(HEADER_BYTES);
  expect(await axeViolations(demo.page)).toEqual([]);
});

test('a large download that is declined does not begin', async () => {
  await demo.page.keyboard.press('Escape');
  await demo.ready();
  expect(await large.sentBytes('.safetensors')).toBeLessThan(HEADER_BYTES);
});

test('a large download begins once it is agreed to', async () => {
  await large.script({
    path: '.safetensors',
    covers: 100_000_000,
    fault: { kind: 'stall', afterBytes: 9 },
  });
  await demo.loadFrom(large.url);
  await demo.page.waitForSelector('#preflight[open] .big');
  await demo.page.focus('#preflight .big');
  await demo.page.keyboard.press('Enter');
  await demo.textLike('.load-strip', /Downloading/);
  expect(await axeViolations(demo.page)).toEqual([]);
  await demo.click('#pause-load');
  await demo.textLike('.is-paused', /of 1\d\d MB downloaded/);
});

test('a model that will not run here is refused with reasons instead of a download button', async () => {
  const unfit = await FaultSession.start(faults.url, { folder: 'unfit' });
  await demo.loadFrom(unfit.url);
  await demo.page.waitForSelector('#preflight[open]');
  expect(await demo.text('#preflight h2')).toMatch(/will not run here/);
  expect(await demo.text('#preflight .reasons')).toMatch(/needs buffers of .*Use another GPU/);
  expect(await demo.count('#preflight .big')).toBe(0);
  expect(await demo.page.evaluate(() => document.activeElement?.textContent)).toBe('Close');
  expect(await axeViolations(demo.page)).toEqual([]);
  await demo.page.keyboard.press('Enter');
  await demo.ready();
});

const TOKEN = 'hf_onlyInMemory';
let hub: FaultSession;
test('the model panel warns that loading from a mirror clears the token', async () => {
  hub = await FaultSession.start(faults.url, { folder: 'hub' });
  await demo.click('#model-button');
  await demo.click('.hub-access summary');
  await demo.page.locator('#hub-token').fill(TOKEN);
  await demo.page.locator('#hub-mirror').fill(hub.url);
  await demo.page.locator('#model-source').fill('owner/nano');
  expect(await demo.text('#model-source-hint')).toMatch(/will reload.*clears the token/);
});

test('a mirror of Hugging Face is asked with the token', async () => {
  await demo.click('.source-form [type=submit]');
  await demo.page.waitForFunction(() => location.search.includes('mirror='));
  await demo.page.waitForSelector('#model-panel[open] .hub-access[open]');
  await demo.page.locator('#hub-token').fill(TOKEN);
  await hub.script({ path: FIRST, covers: 1_000_000, fault: { kind: 'stall', afterBytes: 9 } });
  await demo.click('.source-form [type=submit]');
  await demo.textLike('.load-strip', /Downloading nano/);
  const asked = await hub.log();
  expect(asked.length).toBeGreaterThan(0);
  for (const { authorization } of asked) expect(authorization).toBe(`Bearer ${TOKEN}`);
});

test('the token is in neither the URL nor the storage of the page', async () => {
  expect(await demo.page.evaluate(() => location.href)).not.toContain(TOKEN);
  const stored = await demo.page.evaluate(() => JSON.stringify([localStorage, sessionStorage]));
  expect(stored).not.toContain(TOKEN);
});

slowTest('a download paused from a mirror resumes from the mirror', async () => {
  await demo.click('#pause-load');
  await demo.page.waitForSelector('.is-paused');
  await hub.script();
  await demo.openStored();
  await demo.click('.stored [aria-label="Resume nano"]');
  await demo.ready();
  expect(await hub.sentBytes(FIRST)).toBeGreaterThan(HEADER_BYTES);
  expect(browser.proxy.requests.join()).not.toContain('huggingface');
});

slowTest(
  'one click on the link to gpt-oss-20b describes the download, and does not begin it',
  async () => {
    const visitor = await browser.open(`?model=owner/nano&mirror=${encodeURIComponent(hub.url)}`);
    await visitor.ready(); // the embedded model
    await visitor.page.keyboard.press('Escape');
    await visitor.click('.lede .link-button');
    await visitor.page.waitForSelector('#preflight[open]');
    expect(await visitor.text('#preflight h2')).toMatch(/^gpt-oss-20b /);
    expect(await visitor.count('#model-panel[open]')).toBe(0);
    const sent = await hub.log();
    expect(sent.some(({ path }) => path.includes('openai/gpt-oss-20b'))).toBe(true);
    expect(browser.proxy.requests.join()).not.toContain('huggingface');
    await visitor.close();
  },
);
