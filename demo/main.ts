import { store } from 'ossicle';
import { Chat } from './chat.ts';
import {
  type CheckpointSource,
  embeddedSource,
  isReachable,
  pageAddress,
  parseSource,
} from './checkpoint-source.ts';
import { Composer } from './composer.ts';
import { confirm } from './confirm.ts';
import { openedFor } from './connection-policy.ts';
import { find } from './element.ts';
import type { NextStep } from './failure-card.ts';
import { formatBytes } from './format.ts';
import { LoadNotice } from './load-notice.ts';
import { ModelPanel } from './model-panel.ts';
import { type DownloadPlan, type LoadedModel, ModelSlot, type ModelState } from './model-slot.ts';
import { followEnd } from './scroll.ts';
import { registerServiceWorker } from './service-worker-registration.ts';
import { SettingsView } from './settings.ts';
import { StatusLine } from './status-line.ts';
import { showWelcome } from './welcome.ts';

/** Names a checkpoint that the person chose in this tab just before the page opened again for its host. */
const CHOSEN_KEY = 'ossicle.chosen';

const slot = new ModelSlot(agreeToDownload);
/** The model that the welcome speaks of; `null` before it has been shown. */
let welcomed: LoadedModel | undefined | null = null;
const settings = new SettingsView();
const statusLine = new StatusLine();
const chat = new Chat({
  model: () => slot.state.model,
  settings: () => settings.current,
  onChange: () => showState(),
  onContext: (tokens) => statusLine.showContext(tokens),
  onStep: (step, retry) => takeStep(step, retry),
});
const composer = new Composer({ ask: (prompt) => chat.ask(prompt), stop: () => chat.stop() });
const panel = new ModelPanel(slot, choose);
new LoadNotice(slot, (step) => takeStep(step));

slot.subscribe(showModel);
find('new-chat', HTMLButtonElement).addEventListener('click', () => {
  chat.clear();
  composer.focus();
});
followEnd();
void registerServiceWorker();
void open();

/** Loads what the address asks for, where the person has agreed to it before; else the embedded model. */
async function open(): Promise<void> {
  const chosen = sessionStorage.getItem(CHOSEN_KEY);
  sessionStorage.removeItem(CHOSEN_KEY);
  if (openedFor.origin === 'embedded' || chosen === openedFor.source || (await isStored(openedFor)))
    return slot.load(openedFor);
  panel.open({ source: openedFor.source });
  return slot.load(embeddedSource(location.href));
}

async function isStored({ source }: CheckpointSource): Promise<boolean> {
  try {
    const models = await store.list();
    return models.some(
      ({ id, complete }) => complete && parseSource(id, location.href)?.source === source,
    );
  } catch {
    return false; // no private file system here: loading will say so
  }
}

/** Loads a checkpoint here, or opens the page again where its policy does not reach the checkpoint's host. */
function choose(checkpoint: CheckpointSource): void {
  const address = pageAddress(checkpoint, location.href);
  if (isReachable(checkpoint, openedFor)) {
    chat.stop();
    void slot.load(checkpoint);
    return;
  }
  sessionStorage.setItem(CHOSEN_KEY, checkpoint.source);
  location.assign(address);
}

function agreeToDownload({
  checkpoint,
  totalBytes,
  gpuBytes,
  freeBytes,
}: DownloadPlan): Promise<boolean> {
  const room =
    freeBytes === undefined ? '' : ` The browser offers ${formatBytes(freeBytes)} of storage.`;
  return confirm({
    title: `Download ${checkpoint.name}?`,
    detail: `${formatBytes(totalBytes)} from ${checkpoint.host}, kept in this browser. It needs ${formatBytes(gpuBytes)} of GPU memory.${room}`,
    action: 'Download',
  });
}

function showModel(state: ModelState): void {
  const { model: loaded, status } = state;
  const isMoving = status === 'loading' || (status === 'failed' && loaded === undefined);
  const name = isMoving ? state.checkpoint.name : loaded?.checkpoint.name;
  find('model-name', HTMLElement).textContent = name ?? 'No model';
  find('model-button', HTMLElement).dataset.status = status;
  statusLine.showModel(loaded);
  if (status === 'ready') {
    const { checkpoint } = state.model;
    settings.setDefaultTemperature(checkpoint.origin === 'embedded' ? 0 : 1);
    history.replaceState(null, '', pageAddress(checkpoint, location.href));
  }
  showState();
}

function showState(): void {
  const loaded = slot.state.model;
  composer.show({ canAsk: loaded !== undefined, isGenerating: chat.isGenerating });
  find('welcome', HTMLElement).hidden = !chat.isEmpty;
  if (loaded !== welcomed)
    showWelcome(loaded, {
      ask: (prompt, usesTools) => {
        if (usesTools) settings.enableTools();
        chat.ask(prompt);
      },
      chooseModel: () => panel.open(),
    });
  welcomed = loaded;
}

function takeStep(step: NextStep, retry?: () => void): void {
  const { state } = slot;
  const failed =
    state.status === 'failed'
      ? state.checkpoint
      : (state.model?.checkpoint ?? embeddedSource(location.href));
  if (step === 'reload') location.reload();
  else if (step === 'choose-model') panel.open();
  else if (step === 'manage-storage') panel.open({ section: 'storage' });
  else if (step === 'use-embedded') choose(embeddedSource(location.href));
  else if (step === 'new-chat') chat.clear();
  else void slot.load(failed).then(() => slot.state.status === 'ready' && retry?.());
}
