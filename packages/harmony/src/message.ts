/** The author of a message. `system` and `developer` messages are both instructions from the application. */
export type Role = 'system' | 'developer' | 'user' | 'assistant' | 'tool';

/**
 * The purpose of an assistant message: `analysis` for reasoning, `commentary` for tool calls and remarks along the way,
 * `final` for the answer.
 */
export type Channel = 'analysis' | 'commentary' | 'final';

/** A Harmony message. A model's turn usually consists of several: reasoning, then tool calls or an answer. */
export interface Message {
  /** The author. */
  readonly role: Role;
  /** The text: what was said, a call's arguments, or a tool's result. */
  readonly content: string;
  /**
   * For a `tool` message, the name of the tool that returned the result; otherwise the author's name, if any, such as
   * `critic` for `assistant:critic`.
   */
  readonly name?: string;
  /**
   * The channel of an assistant message or of a tool's result. Default: `commentary` for calls, `final` for other
   * assistant messages, and for a result the channel of the call.
   */
  readonly channel?: Channel;
  /** The tool that an assistant message calls: `functions.NAME` or the name of a built-in tool. */
  readonly recipient?: string;
  /** The format of the content, such as `json` or `code`. Default: `json` for function calls. */
  readonly contentType?: string;
  /**
   * The ids that the model wrote, including header and control tokens. The renderer reuses them, so that cached keys
   * and values stay valid, if they are a well-formed rendering of exactly this message; otherwise it ignores them.
   */
  readonly tokens?: readonly number[];
}

/** A function that the model may call. */
export interface ToolDefinition {
  /** The function's name. The model sees it as an identifier; see `createToolNames`. */
  readonly name: string;
  /** What the function does, for the model to read. */
  readonly description?: string;
  /** The JSON Schema of its arguments, an object; omitted if it takes none. */
  readonly parameters?: { readonly [key: string]: unknown };
  /** `false` if the arguments of a call may be any JSON object. Default: they follow `parameters`. */
  readonly strict?: boolean;
  /**
   * Checks the arguments before a call: returns those to run the function with, or throws what is wrong with them. The
   * model is told the error. Called by `ossicle`, as are the members below; `@ossicle/harmony` only keeps them.
   */
  readonly validate?: (input: unknown) => unknown;
  /** Whether the application must approve a call, with these arguments, before it runs. Default: no. */
  readonly needsApproval?: boolean | ((input: unknown) => boolean | Promise<boolean>);
  /**
   * Runs the function when the model calls it. The model is given what it returns, as text or as JSON, or the error that
   * it throws.
   */
  readonly execute?: (
    input: unknown,
    options: { readonly signal: AbortSignal; readonly toolCallId: string },
  ) => unknown;
  /** What the model reads of what `execute` returned. Default: text as it is, anything else as JSON. */
  readonly toModelOutput?: (output: unknown) => string;
}

/**
 * A namespace of built-in tools, described in the system message rather than the developer message. Its own `execute`
 * runs the calls of a namespace without tools: its input is their text.
 */
export interface ToolNamespace
  extends Pick<ToolDefinition, 'needsApproval' | 'execute' | 'toModelOutput'> {
  /** The name, such as `browser`. Its tools are called as `browser.search`; if it has none, it is called itself. */
  readonly name: string;
  /** What the tools are for, for the model to read. */
  readonly description?: string;
  /** The tools. A namespace without any, such as `python`, takes code or text instead of JSON arguments. */
  readonly tools?: readonly ToolDefinition[];
}

/** The channels, in the order in which the system message lists them. */
export const CHANNELS: readonly Channel[] = ['analysis', 'commentary', 'final'];

/**
 * Checks a value of an option or field that has a fixed set of values.
 *
 * @throws RangeError if it is none of them.
 */
export function checkOneOf(place: string, value: string, values: readonly string[]): void {
  if (values.includes(value)) return;
  const expected = values.join(', ');
  throw new RangeError(`${place} is ${JSON.stringify(value)}; it must be one of ${expected}.`);
}
