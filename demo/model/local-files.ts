import { isChatFile } from '../chats/chat-file.ts';
import { element, find } from '../element.ts';
import { texts } from '../language/texts.ts';
import { type CheckpointSource, localSource } from './checkpoint-source.ts';

/** Files on this computer that the user picked or dropped. */
export type LocalFiles = readonly File[] | FileSystemDirectoryHandle;

/** The folder picker of browsers that have one; TypeScript's DOM types lack it. */
interface DirectoryPicker {
  showDirectoryPicker?(options: {
    id: string;
    mode: 'read' | 'readwrite';
  }): Promise<FileSystemDirectoryHandle>;
}

/** A drag has left the page if no `dragover` arrives for this long. */
const DRAG_GAP_MS = 600;

/** Whether the browser lets the user pick a folder to write to. */
export const canPickTarget: boolean = 'showDirectoryPicker' in window;

/**
 * Lets the user pick a folder.
 *
 * @returns `undefined` if none was picked.
 */
export async function pickFolder(): Promise<LocalFiles | undefined> {
  return canPickTarget ? pickHandle('read') : pickFiles({ webkitdirectory: true });
}

/** Lets the user pick a folder to write to; call it only if {@link canPickTarget} is true. */
export function pickTarget(): Promise<FileSystemDirectoryHandle | undefined> {
  return pickHandle('readwrite');
}

/** Lets the user pick a GGUF file, or all parts of one. */
export function pickGguf(): Promise<readonly File[] | undefined> {
  return pickFiles({ accept: '.gguf' });
}

async function pickHandle(
  mode: 'read' | 'readwrite',
): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await (window as DirectoryPicker).showDirectoryPicker?.({ id: `ossicle-${mode}`, mode });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return undefined;
    throw error;
  }
}

function pickFiles(
  attributes: Readonly<Record<string, string | boolean>>,
): Promise<readonly File[] | undefined> {
  const input = element('input', { type: 'file', multiple: true, ...attributes });
  return new Promise((resolve) => {
    input.addEventListener('change', () => resolve([...(input.files ?? [])]));
    input.addEventListener('cancel', () => resolve(undefined));
    input.click();
  });
}

/** Files that only a model has. */
const WEIGHTS = /\.(?:gguf|safetensors)$/i;

/**
 * Opens folders and files of models dropped anywhere on the page, and imports exported chats; other files are attached to
 * the next question.
 */
export function acceptDrops(
  open: (checkpoint: CheckpointSource) => void,
  attach: (files: readonly File[]) => void,
  importChats: (file: File) => Promise<void>,
): void {
  const target = find('drop-target', HTMLElement);
  const hasFiles = ({ dataTransfer }: DragEvent): boolean =>
    dataTransfer?.types.includes('Files') ?? false;
  const hide = (): void => target.hidePopover();
  let leaving: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = 'copy';
    target.showPopover();
    // `dragover` repeats while a drag lasts, but not every drag ends with an event.
    clearTimeout(leaving);
    leaving = setTimeout(hide, DRAG_GAP_MS);
  });
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    clearTimeout(leaving);
    hide();
    void readDrop(event).then(async (files) => {
      if (files === undefined) return;
      if ('kind' in files || files.some(({ name }) => WEIGHTS.test(name)))
        return open(localSource(files, texts.model.unnamedFiles));
      const areChats = await Promise.all(files.map((file) => isChatFile(file)));
      for (const file of files.filter((_, index) => areChats[index])) void importChats(file);
      const others = files.filter((_, index) => !areChats[index]);
      if (others.length > 0) attach(others);
    });
  });
}

/** What was dropped: the first folder, or else the files. Call it during the event: the data is gone afterwards. */
async function readDrop({ dataTransfer }: DragEvent): Promise<LocalFiles | undefined> {
  const files = [...(dataTransfer?.files ?? [])];
  const handles = await Promise.all(
    [...(dataTransfer?.items ?? [])].map((item) => handleOf(item).catch(() => null)),
  );
  const folder = handles.find((handle) => handle?.kind === 'directory');
  if (folder) return folder as FileSystemDirectoryHandle;
  return files.length > 0 ? files : undefined;
}

async function handleOf(item: DataTransferItem): Promise<FileSystemHandle | null> {
  const withHandle = item as DataTransferItem & {
    getAsFileSystemHandle?(): Promise<FileSystemHandle | null>;
  };
  return (await withHandle.getAsFileSystemHandle?.()) ?? null;
}
