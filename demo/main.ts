import { Chat } from './chat/chat.ts';
import { ChatSessions } from './chat/chat-sessions.ts';
import { Composer } from './chat/composer.ts';
import { takeRescued, watchEnd } from './chat/rescue.ts';
import { followEnd } from './chat/scroll.ts';
import { ChatLibrary } from './chats/chat-library.ts';
import { ChatList } from './chats/chat-list.ts';
import { ChatsPanel } from './chats/chats-panel.ts';
import { openedFor } from './connection-policy.ts';
import { find } from './element.ts';
import { keepFocus } from './keyboard/keep-focus.ts';
import { Shortcuts } from './keyboard/shortcuts.ts';
import { localize } from './language/localize.ts';
import { texts } from './language/texts.ts';
import {
  type CheckpointSource,
  embeddedSource,
  isReachable,
  localSource,
  pageAddress,
} from './model/checkpoint-source.ts';
import type { LoadSettings } from './model/cost/load-settings.ts';
import type { NextStep } from './model/failure-card.ts';
import { HubAccess } from './model/hub-access.ts';
import { LoadNotice } from './model/load-notice.ts';
import { acceptDrops } from './model/local-files.ts';
import { LARGE_REPOSITORY, ModelPanel } from './model/model-panel.ts';
import { type LoadedModel, ModelSlot, type ModelState } from './model/model-slot.ts';
import { showPreflight } from './model/preflight.ts';
import { findPartial, findStored } from './model/stored-checkpoint.ts';
import { acceptLaunches, watchVersion } from './offline/installation.ts';
import { registerServiceWorker } from './offline/service-worker-registration.ts';
import { PolicyChecker } from './policy/policy-checker.ts';
import { RequestLog } from './privacy/request-log.ts';
import { RequestPanel } from './privacy/request-panel.ts';
import { SettingsView } from './settings.ts';
import { StatusLine } from './status-line.ts';
import { readLocal, readTab, storageKey, writeLocal, writeTab } from './storage-key.ts';
import { showWelcome } from './welcome.ts';

/** Session storage key of the checkpoint chosen in this tab just before the page reopened for its host. */
const CHOSEN_KEY = storageKey('chosen');
/** Key of the chat that was shown last, in this tab, and in any. */
const LAST_CHAT_KEY = storageKey('last-chat');

/** The longest wait for what is not stored yet when the page reloads itself. */
const END_PATIENCE_MS = 5000;

localize(() => leave(() => location.reload()));
const hub: HubAccess = new HubAccess(openedFor.mirror, () => panel.explainSource());
const slot = new ModelSlot({ agree: showPreflight, token: () => hub.token });
/** The model that the welcome describes; `null` until it is first shown. */
let welcomed: LoadedModel | undefined | null = null;
const settings = new SettingsView(
  (instructions) => library.change(chat.record.id, (record) => ({ ...record, instructions })),
  () => void tidySessions(),
);
const requests = new RequestLog();
const requestPanel = new RequestPanel(requests);
const statusLine = new StatusLine(() => requestPanel.open());
const serviceWorker = registerServiceWorker();
const lastChat = readTab(LAST_CHAT_KEY) ?? readLocal(LAST_CHAT_KEY);
let isLastChatOpen = false;
const library = new ChatLibrary();
const sessions = new ChatSessions(
  (chatId) => settings.keepsSessions && library.get(chatId) !== undefined,
  () => settings.showKept(sessions.keptBytes),
);
const chat = new Chat({
  library,
  sessions,
  model: () => slot.state.model,
  settings: () => settings.current,
  onChange: () => showState(),
  onAnswered: (isWhole) => composer.answered(isWhole),
  onContext: (tokens) => statusLine.showContext(tokens),
  onStep: (step, retry) => takeStep(step, retry),
});
watchEnd(chat, library);
const composer = new Composer({
  ask: (question) => chat.ask(question),
  stop: () => chat.stop(),
  countTokens: async (text) =>
    slot.state.model?.model.countTokens(text, { systemMessage: null }).catch(() => undefined),
});
const chatsPanel = new ChatsPanel();
const chatList = new ChatList(library, { current: () => chat.record.id, open: openChat });
const policyChecker = new PolicyChecker(() => slot.state.model);
const panel: ModelPanel = new ModelPanel(slot, hub, choose, () => policyChecker.open());
new LoadNotice(slot, {
  step: (step) => takeStep(step),
  resume: ({ checkpoint }) => choose(checkpoint, true),
});

slot.subscribe(showModel);
find('new-chat', HTMLButtonElement).addEventListener('click', () => {
  chat.startNew();
  chatsPanel.chosen();
  composer.focus();
});
followEnd();
keepFocus();
new Shortcuts({
  newChat: () => find('new-chat', HTMLButtonElement).click(),
  search: () => {
    chatsPanel.toggle(true);
    chatList.focusSearch();
  },
  toggleChats: () => chatsPanel.toggle(),
  focusField: () => composer.focus(),
  editLast: () => {
    const edits = document.querySelectorAll<HTMLElement>('.turn:last-child [data-icon=edit]');
    edits[0]?.click();
  },
});
acceptDrops(
  (checkpoint) => {
    panel.close();
    choose(checkpoint);
  },
  (files) => composer.attach(files),
  async (file) => {
    if (!(await chatList.import(file))) chatsPanel.toggle(true); // which says why
  },
);
library.subscribe(() => void tidySessions());
acceptLaunches((files) => choose(localSource(files, texts.model.unnamedFiles)));
watchVersion(leave);
void openLastChat();
void open();

/** Shows the chat that was shown before the page was closed. */
async function openLastChat(): Promise<void> {
  await library.settled;
  takeRescued(library);
  isLastChatOpen = true;
  if (lastChat !== undefined && chat.isEmpty) chat.open(lastChat);
  settings.showKept(sessions.keptBytes);
}

/** Leaves or reloads this page once the answer is stopped and everything is stored, or that takes too long. */
async function leave(go: () => void): Promise<void> {
  await Promise.race([
    chat.end(),
    new Promise((resolve) => setTimeout(resolve, END_PATIENCE_MS)),
  ]).catch(reportError);
  go();
}

/** Removes what is kept of chats that are deleted. */
async function tidySessions(): Promise<void> {
  await library.settled;
  const { model: loaded } = slot.state;
  if (loaded && isLastChatOpen) await sessions.tidy(loaded.model);
}

function openChat(id: string): void {
  chat.open(id);
  chatsPanel.chosen();
  composer.focus();
}

/** Loads what the URL names if the user has already agreed to it; otherwise the embedded model. */
async function open(): Promise<void> {
  await serviceWorker; // it reports the requests of the model's worker
  if (slot.state.status !== 'empty') return; // the user was faster
  const chosen = readTab(CHOSEN_KEY);
  writeTab(CHOSEN_KEY, undefined);
  const stored = openedFor.origin === 'embedded' ? undefined : await findStored(openedFor);
  if (openedFor.origin === 'embedded' || chosen === openedFor.source || stored?.complete)
    await slot.load(openedFor);
  else {
    if (stored === undefined) panel.open({ source: openedFor.source });
    await slot.load(embeddedSource(location.href));
  }
  const partial = await findPartial();
  if (partial)
    slot.showPaused({
      checkpoint: partial.checkpoint,
      storedBytes: partial.stored.sizeBytes,
      totalBytes: partial.stored.totalBytes,
    });
}

/** Loads a checkpoint here, or reopens the page if its policy does not allow the checkpoint's host. */
function choose(checkpoint: CheckpointSource, isAgreed = false, chosen?: LoadSettings): void {
  if (isReachable(checkpoint, openedFor)) {
    chat.stop();
    void slot.load(checkpoint, isAgreed, chosen);
    return;
  }
  // The token is not kept: a load that had one waits in the panel until it is entered again.
  if (hub.token === undefined) writeTab(CHOSEN_KEY, checkpoint.source);
  void leave(() => location.assign(pageAddress(checkpoint, location.href)));
}

function showModel(state: ModelState): void {
  const { model: loaded, status } = state;
  requests.setReady(loaded !== undefined && status !== 'loading');
  const isMoving = status === 'loading' || (status === 'failed' && loaded === undefined);
  const name = isMoving ? state.checkpoint.name : loaded?.checkpoint.name;
  find('model-name', HTMLElement).textContent = name ?? texts.page.noModel;
  // A load that failed says so in its own card; the model shown here works.
  find('model-button', HTMLElement).dataset.status =
    status === 'failed' && loaded ? 'ready' : status;
  statusLine.showModel(loaded);
  if (status === 'ready') {
    const { checkpoint } = state.model;
    settings.setDefaultTemperature(checkpoint.origin === 'embedded' ? 0 : 1);
    history.replaceState(null, '', pageAddress(checkpoint, location.href));
    chat.recount();
    void tidySessions();
  }
  showState();
}

function showState(): void {
  const loaded = slot.state.model;
  const { id } = chat.record;
  if (isLastChatOpen) {
    writeTab(LAST_CHAT_KEY, chat.isEmpty ? '' : id);
    writeLocal(LAST_CHAT_KEY, chat.isEmpty ? '' : id);
  }
  composer.showDraft(chat.isEmpty ? 'new' : id);
  settings.showChat(chat.record);
  chatList.show();
  composer.show({ canAsk: loaded !== undefined, isGenerating: chat.isGenerating });
  find('welcome', HTMLElement).hidden = !chat.isEmpty;
  if (loaded !== welcomed)
    showWelcome(loaded, {
      ask: (prompt, usesTools) => chat.ask({ prompt, usesTools }),
      loadLarge: () => panel.load(LARGE_REPOSITORY),
    });
  welcomed = loaded;
}

function takeStep(step: NextStep, retry?: () => void): void {
  const { state } = slot;
  const failed =
    state.status === 'failed'
      ? state.checkpoint
      : (state.model?.checkpoint ?? embeddedSource(location.href));
  if (step === 'reload') void leave(() => location.reload());
  else if (step === 'choose-model')
    panel.open(failed.origin === 'huggingface' ? { source: failed.source } : {});
  else if (step === 'manage-storage') panel.open({ section: 'storage' });
  else if (step === 'use-embedded') choose(embeddedSource(location.href));
  else if (step === 'new-chat') chat.startNew();
  else void slot.load(failed).then(() => slot.state.status === 'ready' && retry?.());
}
