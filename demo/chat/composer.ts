import type { AttachedFile } from '../chats/chat-record.ts';
import { element, find, iconButton } from '../element.ts';
import { isKey } from '../keyboard/keys.ts';
import { texts } from '../language/texts.ts';
import { Attachments } from './attachments.ts';
import type { Question } from './chat.ts';
import { readDraft, readDraftFiles, writeDraft, writeDraftFiles } from './drafts.ts';

/** What the composer can ask the page to do. */
export interface ComposerActions {
  /** Asks the model. */
  readonly ask: (question: Question) => void;
  /** Stops the current answer. */
  readonly stop: () => void;
  /** Counts tokens as the model in use does; `undefined` if there is none. */
  readonly countTokens: (text: string) => Promise<number | undefined>;
}

/** A longer text that is pasted becomes a file: the field would be slow, and the question hard to find in it. */
const MAX_PASTED = 20_000;

/**
 * The message field and its buttons: Enter sends, Shift+Enter adds a line, Escape stops. Questions sent during an answer
 * wait in a queue. What is typed while nothing has the focus goes to the field.
 */
export class Composer {
  readonly #form = find('composer', HTMLFormElement);
  readonly #field = find('prompt', HTMLTextAreaElement);
  readonly #send = find('send', HTMLButtonElement);
  readonly #stop = find('stop', HTMLButtonElement);
  readonly #tools = find('question-tools', HTMLButtonElement);
  readonly #queueList = find('queue', HTMLElement);
  readonly #attachments: Attachments;
  readonly #ask: (question: Question) => void;
  #queue: Question[] = [];
  #draftOf = '';
  /** Whether the files of the draft have been read. */
  #hasFiles = true;
  #canAsk = false;
  #isGenerating = false;

  constructor({ ask, stop, countTokens }: ComposerActions) {
    this.#ask = ask;
    this.#attachments = new Attachments(countTokens, () => {
      this.#keep();
      this.#show();
    });
    this.#queueList.setAttribute('aria-label', texts.composer.queued);
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener('input', () => {
      this.#keepText();
      this.#show();
    });
    this.#field.addEventListener('keydown', (event) => {
      if (!isKey(event, 'Enter')) return;
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener('paste', (event) => {
      const files = pastedFiles(event.clipboardData);
      if (files.length === 0) return;
      event.preventDefault();
      this.attach(files);
    });
    this.#stop.addEventListener('click', () => {
      stop();
      this.focus();
    });
    this.#tools.addEventListener('click', () => this.#pressTools(!this.#usesTools));
    find('attach', HTMLButtonElement).addEventListener('click', () => this.#pick());
    document.addEventListener('keydown', (event) => {
      const isElsewhere = document.querySelector('dialog[open], [popover]:popover-open') !== null;
      if (isElsewhere) return;
      if (isKey(event, 'Escape') && this.#isGenerating) stop();
      if (isText(event) && document.activeElement?.matches('body, main')) this.focus();
    });
    this.showDraft('new');
  }

  /** Shows whether a model is ready for questions and whether it is answering one. */
  show({ canAsk, isGenerating }: { canAsk: boolean; isGenerating: boolean }): void {
    if (canAsk && !this.#canAsk) this.#attachments.count();
    this.#canAsk = canAsk;
    this.#isGenerating = isGenerating;
    this.#show();
  }

  /** Shows the unsent text and files of a chat; `new` is one without turns. */
  showDraft(chatId: string): void {
    if (chatId === this.#draftOf) return;
    this.#draftOf = chatId;
    this.#hasFiles = false; // those of the chat that was shown stay in its draft
    this.#field.value = readDraft(chatId);
    this.#setQueue([]);
    this.#attachments.clear();
    void readDraftFiles(chatId).then((files) => {
      if (chatId !== this.#draftOf) return;
      this.#hasFiles = true;
      for (const file of files) this.#attachments.show(file);
      this.#keep();
    });
  }

  /** Asks the next question of the queue; after an answer that is not whole, gives all of them back to the field. */
  answered(isWhole: boolean): void {
    const queue = this.#queue;
    const [next, ...rest] = queue;
    if (next === undefined) return;
    this.#setQueue(isWhole ? rest : []);
    this.#keep();
    if (isWhole) this.#ask(next);
    else {
      for (const { files = [] } of queue) for (const file of files) this.#attachments.show(file);
      this.#setText([...queue.map(({ prompt }) => prompt), this.#field.value]);
    }
  }

  /** Adds text files to the next question. */
  attach(files: Iterable<File>): void {
    void this.#attachments.add([...files]);
    this.focus();
  }

  /** Focuses the message field. */
  focus(): void {
    this.#field.focus();
  }

  get #usesTools(): boolean {
    return this.#tools.getAttribute('aria-pressed') === 'true';
  }

  #pressTools(isPressed: boolean): void {
    this.#tools.setAttribute('aria-pressed', String(isPressed));
  }

  #pick(): void {
    const input = element('input', { type: 'file', multiple: true });
    input.addEventListener('change', () => this.attach(input.files ?? []));
    input.click();
  }

  #setText(lines: readonly string[]): void {
    this.#field.value = joined(lines);
    this.#keep();
    this.#show();
  }

  /** Keeps the unsent text, with the questions that wait: nothing asks them once the page is closed. */
  #keepText(): void {
    const waiting = this.#queue.map(({ prompt }) => prompt);
    const hasFiles = !this.#hasFiles || this.#draftFiles.length > 0;
    writeDraft(this.#draftOf, joined([...waiting, this.#field.value]), hasFiles);
  }

  #keep(): void {
    this.#keepText();
    if (this.#hasFiles) void writeDraftFiles(this.#draftOf, this.#draftFiles);
  }

  /** The unsent files, with those of the questions that wait. */
  get #draftFiles(): readonly AttachedFile[] {
    const waiting = this.#queue.flatMap(({ files = [] }) => files);
    return [...waiting, ...this.#attachments.files];
  }

  #submit(): void {
    const prompt = this.#field.value.trim();
    const { files } = this.#attachments;
    if ((prompt === '' && files.length === 0) || !this.#canAsk) return;
    const question: Question = { prompt, files, usesTools: this.#usesTools };
    this.#pressTools(false);
    this.#setText([]);
    this.#attachments.clear();
    if (this.#isGenerating) {
      this.#setQueue([...this.#queue, question]);
      this.#keep();
    } else this.#ask(question);
  }

  #setQueue(queue: readonly Question[]): void {
    this.#queue = [...queue];
    this.#queueList.replaceChildren(
      ...queue.map((question) =>
        element(
          'li',
          {},
          element('small', {}, texts.composer.queue),
          element('span', { dir: 'auto' }, question.prompt || question.files?.[0]?.name || ''),
          iconButton('close', texts.composer.remove(question.prompt), () => {
            this.#setQueue(this.#queue.filter((other) => other !== question));
            this.#keep();
          }),
        ),
      ),
    );
  }

  #show(): void {
    const hadFocus = document.activeElement === this.#stop || document.activeElement === this.#send;
    const isEmpty = this.#field.value.trim() === '' && this.#attachments.files.length === 0;
    this.#send.disabled = !this.#canAsk || isEmpty;
    this.#send.hidden = this.#isGenerating && isEmpty;
    this.#stop.hidden = !this.#isGenerating;
    if (hadFocus && document.activeElement === document.body) this.focus();
    // Browsers with `field-sizing: content` do this themselves.
    if (!CSS.supports('field-sizing', 'content')) {
      this.#field.style.height = 'auto';
      this.#field.style.height = `${this.#field.scrollHeight}px`;
    }
  }
}

/** Whether a key types a visible character, also with AltGr; the space bar scrolls. */
const isText = (event: KeyboardEvent): boolean =>
  /^\S$/u.test(event.key) &&
  (event.getModifierState('AltGraph') || !(event.ctrlKey || event.metaKey || event.altKey));

const joined = (lines: readonly string[]): string =>
  lines.filter((line) => line !== '').join('\n\n');

/** What a paste attaches. Of a text, spreadsheets and word processors add a picture: the browser pastes the text alone. */
function pastedFiles(data: DataTransfer | null): readonly File[] {
  const text = data?.getData('text/plain') ?? '';
  if (text === '') return [...(data?.files ?? [])];
  return text.length > MAX_PASTED ? [new File([text], texts.composer.pasted)] : [];
}
