import { announce } from '../announcer.ts';
import type { AttachedFile } from '../chats/chat-record.ts';
import { element, find, icon, iconButton } from '../element.ts';
import { formatBytes, formatCount } from '../format.ts';
import { texts } from '../language/texts.ts';

/** A file larger than this is refused: no context has room for it. */
const MAX_FILE_BYTES = 2e6;

/** The text files that go with the next question, each with its tokens. */
export class Attachments {
  readonly #list = find('attachments', HTMLElement);
  readonly #countTokens: (text: string) => Promise<number | undefined>;
  readonly #onChange: () => void;
  #files: AttachedFile[] = [];
  readonly #counts = new Map<AttachedFile, HTMLElement>();

  /**
   * @param countTokens counts tokens as the model in use does; `undefined` if there is none.
   * @param onChange called when files were added or removed.
   */
  constructor(countTokens: (text: string) => Promise<number | undefined>, onChange: () => void) {
    this.#countTokens = countTokens;
    this.#onChange = onChange;
    this.#list.setAttribute('aria-label', texts.composer.attached);
  }

  /** The files. */
  get files(): readonly AttachedFile[] {
    return this.#files;
  }

  /** Adds the files that hold text, and tells of the others. */
  async add(files: Iterable<File>): Promise<void> {
    for (const file of files) {
      const text = file.size > MAX_FILE_BYTES ? undefined : await readText(file);
      if (text !== undefined) this.show({ name: file.name, text });
      else this.#refuse(file);
    }
  }

  /** Removes all files. */
  clear(): void {
    this.#files = [];
    this.#counts.clear();
    this.#list.replaceChildren();
    this.#onChange();
  }

  /** Adds a file. */
  show(file: AttachedFile): void {
    this.#files.push(file);
    const tokens = element('small');
    const chip = element(
      'li',
      { class: 'file-chip' },
      icon('file'),
      element('span', {}, file.name),
      tokens,
      iconButton('close', texts.composer.remove(file.name), () => {
        this.#files = this.#files.filter((other) => other !== file);
        this.#counts.delete(file);
        chip.remove();
        this.#onChange();
      }),
    );
    this.#list.append(chip);
    this.#counts.set(file, tokens);
    this.#onChange();
    this.count();
  }

  /** Counts the tokens of the files that have no count yet, if there is a model by now. */
  count(): void {
    for (const [{ text }, tokens] of this.#counts) {
      if (tokens.textContent !== '') continue;
      void this.#countTokens(text).then((count) => {
        if (count !== undefined) tokens.textContent = texts.composer.fileTokens(formatCount(count));
      });
    }
  }

  #refuse({ name, size }: File): void {
    const why =
      size > MAX_FILE_BYTES
        ? texts.composer.tooLarge(name, formatBytes(MAX_FILE_BYTES))
        : texts.composer.notText(name);
    const chip = element(
      'li',
      { class: 'file-chip is-bad' },
      icon('warning'),
      element('span', {}, why),
      iconButton('close', texts.dismiss, () => chip.remove()),
    );
    this.#list.append(chip);
    announce(why);
  }
}

/** The text of a file; `undefined` if it is not UTF-8 or holds control characters that no text has. */
async function readText(file: File): Promise<string | undefined> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
    return text.includes('\0') ? undefined : text.replaceAll('\r\n', '\n');
  } catch {
    return undefined;
  }
}
