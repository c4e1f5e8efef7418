import { isSafePath } from './byte-source.ts';

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
