import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { axeViolations } from '../test/axe-violations.ts';
import { DemoBrowser } from '../test/demo-browser.ts';
import type { DemoPage } from '../test/demo-page.ts';

// Two deployments on one origin, of which one gets a newer version: each test continues from the one before.
let folder: string;
let browser: DemoBrowser;
let first: DemoPage;
let second: DemoPage;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ossicle-deployments-'));
  for (const name of ['one', 'two']) await cp('demo/dist', join(folder, name), { recursive: true });
  browser = await DemoBrowser.start({ folder });
  first = await (await browser.open('one/')).ready();
  await first.keptForOffline();
});
afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true });
});

/** Replaces a deployment by one whose scripts have other names. Returns the old names. */
async function deploy(name: string): Promise<readonly string[]> {
  const root = join(folder, name);
  const scripts = (await readdir(join(root, 'assets'))).filter((file) => file.endsWith('.js'));
  const texts = ['index.html', 'service-worker.js', ...scripts.map((file) => `assets/${file}`)];
  for (const file of texts) {
    let text = await readFile(join(root, file), 'utf8');
    for (const script of scripts) text = text.replaceAll(script, newer(script));
    await writeFile(join(root, file), text.replace('"version":"', '"version":"newer'));
  }
  for (const script of scripts)
    await rename(join(root, 'assets', script), join(root, 'assets', newer(script)));
  return scripts;
}
const newer = (script: string): string => script.replace('.js', '-newer.js');

const mainScript = ({ page }: DemoPage): Promise<string> =>
  page.$eval('script[type=module]', (script) => String(Reflect.get(script, 'src')));

/** Statuses of requests for scripts of the deployment. */
const statuses = (demo: DemoPage, scripts: readonly string[]): Promise<readonly number[]> =>
  demo.page.evaluate(
    (names) => Promise.all(names.map(async (name) => (await fetch(`assets/${name}`)).status)),
    scripts,
  );

/** The versions in the caches of a deployment. */
const versions = (): Promise<readonly string[]> =>
  first.page.evaluate(async () => (await caches.keys()).filter((name) => name.includes(' /one/ ')));

test('a deployment beside another has its own chats, drafts and settings', async () => {
  await first.ask('What is 17 + 25?');
  await first.page.type('#prompt', 'Unsent');
  second = await (await first.openTab(`${browser.url}two/`)).ready();
  await second.keptForOffline();
  expect(await second.count('.chat-open')).toBe(0);
  expect(await second.page.$eval('#prompt', (field) => Reflect.get(field, 'value'))).toBe('');
  await second.page.close();
});

test('a newer version waits with a notice, and open pages keep the files of theirs', async () => {
  second = await first.openTab();
  const old = await deploy('one');
  await first.page.evaluate(async () => (await navigator.serviceWorker.ready).update());
  for (const tab of [first, second])
    expect(await tab.textLike('#update', /newer/)).toContain('Reload');
  expect(await axeViolations(second.page)).toEqual([]);
  expect(new Set(await statuses(first, old))).toEqual(new Set([200]));
  expect(await mainScript(first)).not.toContain('newer');
});

test('a tab that agrees changes to it; the other goes on until it agrees, too, and the old files go', async () => {
  const old = (await readdir(join('demo/dist', 'assets'))).filter((name) => name.endsWith('.js'));
  await second.click('#update .text-button');
  await second.page.waitForFunction(() =>
    document.querySelector<HTMLScriptElement>('script[type=module]')?.src.includes('newer'),
  );
  expect(await first.textLike('#update', /newer/)).toContain('Reload');
  expect(new Set(await statuses(first, old))).toEqual(new Set([200]));
  expect(await versions()).toHaveLength(2);
  await second.page.close();
  await first.page.bringToFront();
  await first.click('#update .text-button');
  await first.page.waitForFunction(() =>
    document.querySelector<HTMLScriptElement>('script[type=module]')?.src.includes('newer'),
  );
  expect(await first.answer()).toContain('42');
  await first.page.waitForFunction(
    async () => (await caches.keys()).filter((name) => name.includes(' /one/ ')).length === 1,
  );
  expect(first.complaints).toEqual([]);
});
