import { isSafePath } from './byte-source.ts';

/** The default host of repos. */
export const HUGGING_FACE = 'https://huggingface.co';

/** A Hugging Face repo, or one GGUF file in it. */
export interface Repo {
  /** `owner/name`. */
  readonly name: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
  /** The path of a GGUF file within the repo, if one is named. */
  readonly file?: string | undefined;
}

/** `owner/name`, optionally with the path of a GGUF file and a revision. */
const REPO = /^([\w.-]+\/[\w.-]+)(?:\/([^@?#]+\.gguf))?(?:@([\w./-]+))?$/i;

/** The address of a repo's page. */
const REPO_PAGE =
  /^https:\/\/huggingface\.co\/([\w.-]+\/[\w.-]+)(?:\/(?:tree|resolve)\/([\w.%-]+))?\/$/;

/** The address of a GGUF file or of its page. */
const FILE_PAGE =
  /^https:\/\/huggingface\.co\/([\w.-]+\/[\w.-]+)\/(?:blob|resolve)\/([\w.%-]+)\/([^?#]+\.gguf)(?:\?.*)?$/i;

/** Parses the name of a repo or of a GGUF file in it, or the address of its page; `undefined` if it is neither. */
export function parseRepo(source: string): Repo | undefined {
  const [, name, file, revision] = REPO.exec(source) ?? [];
  if (name !== undefined) return repoOf(name, revision, file);
  const page = REPO_PAGE.exec(source) ?? FILE_PAGE.exec(source);
  if (!page?.[1]) return undefined;
  return repoOf(page[1], page[2] && decoded(page[2]), page[3] && decoded(page[3]));
}

/** What the ids of imported models start with. */
export const IMPORT = 'import:';

/** The id that a repo read through a mirror has: other bytes may lie there than at huggingface.co. */
export function mirroredId(id: string, base: URL): string {
  return `${id} via ${base.origin}${base.pathname.replace(/\/$/, '')}`;
}

/** What the files under an id claim to be: the id without the mirror or the import that they came from. */
export function claimedId(id: string): string {
  return id.replace(/^(import:)+/, '').replace(/ via https?:\/\/\S+$/, '');
}

function repoOf(name: string, revision = 'main', file?: string): Repo | undefined {
  return file === undefined || isSafePath(file) ? { name, revision, file } : undefined;
}

/** Undoes percent-encoding; text with malformed escapes stays as it is. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
