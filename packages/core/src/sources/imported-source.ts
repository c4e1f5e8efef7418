import { OssicleError } from '../errors.ts';
import type { FileVersion, PublishedSource } from './published-source.ts';

/** A model that was imported into the store. Its files are nowhere else, so that every read fails. */
export class ImportedSource implements PublishedSource {
  readonly id: string;
  readonly hasRanges = true;
  readonly revision = undefined;

  /** @param id - `import:` and what the files claim to be. */
  constructor(id: string) {
    this.id = id;
  }

  async list(): Promise<never> {
    throw this.#missing();
  }

  async size(): Promise<never> {
    throw this.#missing();
  }

  async version(): Promise<FileVersion | undefined> {
    throw this.#missing();
  }

  async read(): Promise<never> {
    throw this.#missing();
  }

  // biome-ignore lint/correctness/useYield: there is nothing to yield
  async *stream(): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    throw this.#missing();
  }

  #missing(): OssicleError {
    return new OssicleError(
      'download-failed',
      `${this.id} is not stored whole in this browser, and imported models are nowhere else. Import its files again.`,
    );
  }
}
