/** Where the `browser` of `createBrowser` gets its results and its pages from. */
export interface BrowserBackend {
  /**
   * Searches.
   *
   * @param options.topn - How many results the model wants, from 1 to 20.
   */
  search(
    query: string,
    options: { readonly topn: number; readonly signal: AbortSignal },
  ): Promise<readonly SearchResult[]>;
  /**
   * Reads a page: one that was found, linked or that the model names.
   *
   * @throws Error if there is none; the model is told the message.
   */
  fetch(url: string, options: { readonly signal: AbortSignal }): Promise<BrowserDocument>;
}

/** A result of a search. */
export interface SearchResult {
  /** Its address, for {@link BrowserBackend.fetch}. */
  readonly url: string;
  /** Its title. Default: the address. */
  readonly title?: string;
  /** What it says on the query, as plain text. */
  readonly snippet?: string;
}

/** A page. */
export interface BrowserDocument {
  /** Its title. Default: that of the HTML, or the address. */
  readonly title?: string;
  /** Its content as HTML, of which the model reads the text. */
  readonly html?: string;
  /** Its content as plain text, if it is not HTML. */
  readonly text?: string;
}
