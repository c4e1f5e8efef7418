import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Config, PRESETS } from '../packages/core/test/config.ts';
import { type FaultServer, startFaultServer } from '../packages/core/test/fault-server.ts';
import { FaultSession } from '../packages/core/test/fault-session.ts';
import { DemoBrowser, type DemoPage } from './test/demo-browser.ts';
import { writeSparseCheckpoint } from './test/sparse-checkpoint.ts';

const NANO = 'demo/public/models/gpt-oss-nano';
const FIRST = 'model-00001-of-00002.safetensors';
const SECOND = 'model-00002-of-00002.safetensors';
/** More than all headers of a checkpoint, less than any of its chunks. */
const HEADER_BYTES = 100_000;

const LARGE: Config = { ...PRESETS.nano, vocabulary: 200_000, hidden: 192 };
/** More query heads to a key head than any GPU has workgroup memory for. */
const UNFIT: Config = { ...LARGE, heads: 64, kvHeads: 1 };

// One visitor's story: a model of another host comes in pieces, and is looked after.
let folder: string;
let faults: FaultServer;
let session: FaultSession;
let browser: DemoBrowser;
let demo: DemoPage;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ossicle-checkpoints-'));
  await mkdir(join(folder, 'hub/owner/nano/resolve'), { recursive: true });
  await Promise.all([
    symlink(resolve(NANO), join(folder, 'nano')),
    symlink(resolve(NANO), join(folder, 'hub/owner/nano/resolve/main')),
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

/** Waits until a file is stored whole, as the store's own record tells. */
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

/** Opens the panel at what is stored. */
async function openStorage(): Promise<void> {
  await demo.click('#model-button');
  await demo.page.waitForSelector('.stored li');
}

/** Clicks the button of a stored model that has this label. */
const manage = (label: string): Promise<void> => demo.click(`.stored [aria-label^="${label} "]`);

/** Lets the page's folder picker return a folder of its private file system. */
const pickOnNextClick = (path: string): Promise<void> =>
  demo.page.evaluate((names) => {
    const pick = async (): Promise<FileSystemDirectoryHandle> => {
      let picked = await navigator.storage.getDirectory();
      for (const name of names) picked = await picked.getDirectoryHandle(name, { create: true });
      return picked;
    };
    Object.assign(window, { showDirectoryPicker: pick });
  }, path.split('/'));

test('a paused download says what is kept, and goes on from there, also in a page that is opened again', async () => {
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

  await demo.click('#resume-load');
  await demo.textLike('.load-strip', /Downloading [\s\S]*1\.\d\d of 3\.\d\d MB/);
  await demo.click('#pause-load');
  await demo.page.waitForSelector('.is-paused');

  await demo.page.reload();
  await demo.ready(); // the embedded model, meanwhile
  expect(await demo.textLike('.is-paused', /downloaded/)).toMatch(
    /1\.\d\d of 3\.\d\d MB downloaded/,
  );
  await openStorage();
  expect(await demo.text('.stored')).toMatch(/1\.\d\d of 3\.\d\d MB downloaded[\s\S]*Resume/);
  await demo.page.keyboard.press('Escape');
  await session.script();
  await demo.click('#resume-load');
  await demo.page.waitForSelector('[data-status=loading]');
  await demo.ready();
  expect(await demo.count('#notice > *')).toBe(0);
  expect(await session.sentBytes(FIRST)).toBeLessThan(HEADER_BYTES);
  expect(await session.sentBytes(SECOND)).toBeGreaterThan(HEADER_BYTES);
});

test('a stored model is found intact; a wrong byte is named, and healed by fetching its chunk alone', async () => {
  await openStorage();
  await demo.click('.stored li:first-child [aria-label^="Verify "]');
  expect(await demo.textLike('.task', /Intact/)).toMatch(/3\.\d\d MB read, every byte/);

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

  await session.script();
  await demo.click('.task.is-bad button');
  await isStored(SECOND);
  expect(await session.sentBytes(FIRST)).toBeLessThan(HEADER_BYTES);
  await demo.ready();
  await openStorage();
  await demo.click('.stored li:first-child [aria-label^="Verify "]');
  await demo.textLike('.task', /Intact/);
  await demo.page.keyboard.press('Escape');
});

test('a model is exported to a folder, deleted, and imported again, with and without what the folder says of itself', async () => {
  await pickOnNextClick('exported');
  await openStorage();
  const models = await demo.count('.stored li');
  const name = await demo.text('.stored li:first-child strong');
  await manage('Export');
  await demo.textLike('.task', new RegExp(`Exported to the folder exported/${name}`));
  await manage('Delete');
  await demo.click('#confirm button[value=yes]');
  await demo.page.waitForFunction(
    (before) => document.querySelectorAll('.stored li').length < before,
    {},
    models,
  );

  await pickOnNextClick(`exported/${name}`);
  await demo.click('.storage > .button');
  await demo.textLike('.storage > .task', /Imported http/);
  await demo.page.waitForSelector(`.stored [aria-label="Load ${name}"]`);

  await demo.page.evaluate(async (folderName) => {
    const root = await navigator.storage.getDirectory();
    const exported = await root.getDirectoryHandle('exported');
    await (await exported.getDirectoryHandle(folderName)).removeEntry('ossicle.json');
  }, name);
  await demo.click('.storage > .button');
  await demo.textLike('.storage > .task', /does not say which model it holds/);
  await demo.page.keyboard.type('owner/nano\n');
  await demo.textLike('.storage > .task', /Imported owner\/nano@main/);
  await demo.page.waitForSelector('.stored [aria-label="Load nano"]');
  await manage('Delete');
  await demo.click('#confirm button[value=yes]');
  await demo.page.keyboard.press('Escape');
});

test('a large download is described before it begins, and waits for a click', async () => {
  const large = await FaultSession.start(faults.url, { folder: 'large' });
  await demo.loadFrom(large.url);
  await demo.page.waitForSelector('#preflight[open]');
  const report = await demo.text('#preflight');
  expect(report).toMatch(/can run here/);
  expect(report).toMatch(/GPU memory needed\s+\d+ MB/);
  expect(report).toMatch(/Storage needed\s+\d+ MB\s+The browser reports [\d.]+ \wB available/);
  expect(report).toMatch(/Speed\s+At most [\d.]+ tokens\/s\s+Each token .* copied/);
  expect(await demo.text('#preflight .big')).toMatch(/^Download 1\d\d MB$/);
  expect(await large.sentBytes('.safetensors')).toBeLessThan(HEADER_BYTES);
  await demo.page.keyboard.press('Escape');
  await demo.ready();
  expect(await large.sentBytes('.safetensors')).toBeLessThan(HEADER_BYTES);

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
  await demo.click('#pause-load');
  await demo.textLike('.is-paused', /of 1\d\d MB downloaded/);
});

test('a model that will not run here is refused with the reasons, and not offered', async () => {
  const unfit = await FaultSession.start(faults.url, { folder: 'unfit' });
  await demo.loadFrom(unfit.url);
  await demo.page.waitForSelector('#preflight[open]');
  expect(await demo.text('#preflight h2')).toMatch(/will not run here/);
  expect(await demo.text('#preflight .reasons')).toMatch(/workgroup memory.*Use another GPU/);
  expect(await demo.count('#preflight .big')).toBe(0);
  expect(await demo.page.evaluate(() => document.activeElement?.textContent)).toBe('Close');
  await demo.page.keyboard.press('Enter');
  await demo.ready();
});

test('a mirror of Hugging Face is asked with the token, which is kept nowhere', async () => {
  const hub = await FaultSession.start(faults.url, { folder: 'hub' });
  const token = 'hf_onlyInMemory';
  const fill = async (): Promise<void> => {
    await demo.page.locator('#hub-token').fill(token);
  };
  await demo.click('#model-button');
  await demo.click('.hub-access summary');
  await fill();
  await demo.page.locator('#hub-mirror').fill(hub.url);
  await demo.page.locator('#model-source').fill('owner/nano');
  expect(await demo.text('#model-source-hint')).toMatch(/will reload.*clears the token/);
  await demo.click('.source-form [type=submit]');

  await demo.page.waitForFunction(() => location.search.includes('mirror='));
  await demo.page.waitForSelector('#model-panel[open] .hub-access[open]');
  await fill();
  await hub.script({ path: FIRST, covers: 1_000_000, fault: { kind: 'stall', afterBytes: 9 } });
  await demo.click('.source-form [type=submit]');
  await demo.textLike('.load-strip', /Downloading nano/);
  const asked = await hub.log();
  expect(asked.length).toBeGreaterThan(0);
  for (const { authorization } of asked) expect(authorization).toBe(`Bearer ${token}`);
  expect(await demo.page.evaluate(() => location.href)).not.toContain(token);
  const kept = await demo.page.evaluate(() => JSON.stringify([localStorage, sessionStorage]));
  expect(kept).not.toContain(token);
  await demo.click('#pause-load');
  await demo.page.waitForSelector('.is-paused');

  await hub.script();
  await openStorage();
  await demo.click('.stored [aria-label="Resume nano"]'); // from the mirror, too
  await demo.ready();
  expect(await hub.sentBytes(FIRST)).toBeGreaterThan(HEADER_BYTES);
  expect(browser.proxy.requests.join()).not.toContain('huggingface');
});
