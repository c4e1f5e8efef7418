import { type CheckpointSource, localSource } from './checkpoint-source.ts';
import { element, find } from './element.ts';

/** Files of this computer, as a person gave them. */
export type LocalFiles = readonly File[] | FileSystemDirectoryHandle;

/** The folder pickers of browsers that have them; TypeScript's DOM types lack them. */
interface DirectoryPicker {
  showDirectoryPicker?(options: {
    id: string;
    mode: 'read' | 'readwrite';
  }): Promise<FileSystemDirectoryHandle>;
}

/** Files are over the page for as long as it is told so again within this time. */
const DRAG_GAP_MS = 600;

/** Whether a folder can be picked to write to. */
export const canPickTarget: boolean = 'showDirectoryPicker' in window;

/**
 * Lets the person pick a folder.
 *
 * @returns `undefined` where none was picked.
 */
export async function pickFolder(): Promise<LocalFiles | undefined> {
  return canPickTarget ? pickHandle('read') : pickFiles({ webkitdirectory: true });
}

/** Lets the person pick a folder to write to; only where {@link canPickTarget}. */
export function pickTarget(): Promise<FileSystemDirectoryHandle | undefined> {
  return pickHandle('readwrite');
}

/** Lets the person pick a GGUF file, or all parts of one. */
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

/** Opens folders and files that are dropped anywhere on the page. */
export function acceptDrops(open: (checkpoint: CheckpointSource) => void): void {
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
    // It is told of often while it lasts; of its end, not in every case.
    clearTimeout(leaving);
    leaving = setTimeout(hide, DRAG_GAP_MS);
  });
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    clearTimeout(leaving);
    hide();
    void readDrop(event).then((files) => files && open(localSource(files)));
  });
}

/** What was dropped: the first folder, or else the files. Must be called while the event is under way. */
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
