/** Who wrote a message. `system` and `developer` both are instructions of the application. */
export type Role = 'system' | 'developer' | 'user' | 'assistant' | 'tool';

/**
 * What an assistant's message is for: `analysis` is its reasoning, `commentary` are its calls and remarks on the way,
 * `final` is its answer.
 */
export type Channel = 'analysis' | 'commentary' | 'final';

/** One Harmony message. A model's turn usually has several: reasoning, then calls or an answer. */
export interface Message {
  /** Who wrote it. */
  readonly role: Role;
  /** What it says; of a call, the arguments; of a tool, the result. */
  readonly content: string;
  /** Of a `tool` message, the name of the tool whose result this is; otherwise the author's name, if any. */
  readonly name?: string;
  /** Default: `final` for an assistant's message, `commentary` where it has a recipient, and for tools' results. */
  readonly channel?: Channel;
  /** The tool that an assistant's message calls: `functions.NAME` or a built-in tool's name. */
  readonly recipient?: string;
  /** What the content is written in, such as `json` or `code`. Default: `json` for calls of functions. */
  readonly contentType?: string;
  /**
   * What the model wrote, header and control tokens included. The renderer repeats these ids, so that keys and values
   * computed for them stay valid, if they are a well-formed rendering of exactly this message; otherwise it ignores them.
   */
  readonly tokens?: readonly number[];
}

/** A function that the model may call. */
export interface ToolDefinition {
  /** Its name. The model sees it as an identifier, see `createToolNames`. */
  readonly name: string;
  /** What it does, for the model to read. */
  readonly description?: string;
  /** The JSON Schema of its argument, an object; absent where it takes none. */
  readonly parameters?: { readonly [key: string]: unknown };
  /** Runs it. This package never calls it. */
  readonly execute?: (input: unknown, options: { readonly signal: AbortSignal }) => unknown;
}

/** Tools of a built-in namespace, described in the system message instead of the developer message. */
export interface ToolNamespace {
  /** The namespace, such as `browser`; a tool in it is called as `browser.search`. Without tools, it is called itself. */
  readonly name: string;
  /** What the tools are for, for the model to read. */
  readonly description?: string;
  /** The tools. Without any, the description stands alone, as that of `python`, which takes code instead of arguments. */
  readonly tools?: readonly ToolDefinition[];
}

/** The channels, as the system message lists them. */
export const CHANNELS: readonly Channel[] = ['analysis', 'commentary', 'final'];
