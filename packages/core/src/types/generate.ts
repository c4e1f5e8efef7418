import type { Channel, Message, ToolChoice, ToolDefinition, ToolNamespace } from '@ossicle/harmony';

export type {
  Channel,
  Message,
  Role,
  ToolChoice,
  ToolDefinition,
  ToolNamespace,
} from '@ossicle/harmony';

/** A JSON Schema, as plain data. */
export type JSONSchema = { readonly [key: string]: unknown };

/** The form of an answer. Only its final message has to have it. */
export type ResponseFormat =
  | {
      /** JSON that follows a schema, which the model is shown. */
      readonly type: 'json';
      readonly schema: JSONSchema;
      /** The name of the format in the prompt. Default: `response`. */
      readonly name?: string;
      /** `false`: any JSON may come, and the schema is only shown. Default: true. */
      readonly strict?: boolean;
    }
  | {
      /** A text that a pattern of JavaScript matches, as with the flag `u`; anywhere in it, unless `^` and `$` say so. */
      readonly type: 'regex';
      readonly pattern: string;
    }
  | {
      /** One of some texts. */
      readonly type: 'choice';
      readonly options: readonly string[];
    };

/** Options of the loop that runs tools. */
export interface ToolLoopOptions {
  /** Ends a generation with tools after a step that meets any of these. Default: `stepCountIs(32)`. */
  readonly stopWhen?: StopCondition | readonly StopCondition[];
  /** Called before each step; the options that it returns replace the generation's in that step. */
  readonly prepareStep?: (
    state: StepState,
  ) => StepOptions | undefined | Promise<StepOptions | undefined>;
  /** Called after each step, with its result and those of its tools among the messages. The next step waits for it. */
  readonly onStepFinish?: (step: GenerateResult) => unknown;
  /**
   * Called for a call whose arguments are not JSON, or are refused by the tool's `validate`. Returns the arguments to
   * run the tool with, or `undefined` to tell the model the error.
   */
  readonly repairToolCall?: (call: ToolCall, error: Error) => unknown;
  /**
   * Asks the user about a call of a tool that needs approval. `false`, or the reason in a string, refuses it, which the
   * model is told. Without this option, such a call ends the generation with the reason `tool-calls`.
   */
  readonly approveToolCall?: (
    call: ToolCall,
    options: { readonly signal: AbortSignal },
  ) => boolean | string | Promise<boolean | string>;
}

/** Options of a generation. */
export interface GenerateOptions extends ToolLoopOptions {
  /** Instructions for the model: the developer message. */
  readonly instructions?: string;
  /** How much the model reasons before it answers. Default: `medium`. */
  readonly reasoningEffort?: 'low' | 'medium' | 'high';
  /** Functions that the model may call. */
  readonly tools?: readonly ToolDefinition[];
  /** Built-in tools that the model was trained with, `browser` and `python`: see `@ossicle/tools`. Default: none. */
  readonly builtInTools?: readonly ToolNamespace[];
  /**
   * Whether the model calls a tool. What must be called is called in the first step; the steps after it are free.
   * Default: `auto`.
   */
  readonly toolChoice?: ToolChoice;
  /** What the final message must be. Other messages are free. */
  readonly responseFormat?: ResponseFormat;
  /** The most tokens to generate, reasoning included. Default: what the context has room for. */
  readonly maxTokens?: number;
  /** Divides the logits; 0 always picks the likeliest token. Default: 1. */
  readonly temperature?: number;
  /** Samples from the smallest set of tokens with at least this much probability, in (0, 1]. Default: 1. */
  readonly topP?: number;
  /** Samples from this many of the likeliest tokens; 0 means all. Default: 0. */
  readonly topK?: number;
  /** Excludes tokens less probable than this fraction of the likeliest one, in [0, 1]. Default: 0. */
  readonly minP?: number;
  /**
   * Divides the positive logits of tokens that the prompt or the answer has, and multiplies the negative ones, in (0, 100].
   * No penalty applies to control tokens and the words of headers. Default: 1.
   */
  readonly repetitionPenalty?: number;
  /** Subtracted from the logits of tokens that the answer, reasoning included, has; from -2 to 2. Default: 0. */
  readonly presencePenalty?: number;
  /** Subtracted from the logits of tokens for each time that the answer has them; from -2 to 2. Default: 0. */
  readonly frequencyPenalty?: number;
  /**
   * Added to the logits of tokens, by id, after penalties: from -100 to 100. -100, or `-Infinity`, excludes a token; it can
   * be an ending or a control token, too.
   */
  readonly logitBias?: Readonly<Record<number, number>> | ReadonlyMap<number, number>;
  /** Makes sampling reproducible. Default: random. */
  readonly seed?: number;
  /** Strings that end the answer, and are not part of it. */
  readonly stop?: readonly string[];
  /**
   * The most tokens of reasoning, 0 included, of all steps together. When they are used up, the analysis message is closed,
   * and the model answers or calls a tool. Rejects with RangeError if `systemMessage.channels` leaves it neither. Default: no
   * limit.
   */
  readonly reasoningBudget?: number;
  /**
   * What the answer begins with: the model goes on from there in the final channel, without reasoning. It is part of the
   * result. A text that ends in a space makes the next word unlikely, because tokens begin with theirs.
   */
  readonly prefillText?: string;
  /**
   * Whether the reasoning of earlier turns stays in the prompt. Default: `false`, as in training. `true` evaluates nothing
   * twice, but fills the context.
   */
  readonly keepAnalysis?: boolean;
  /**
   * Ends the generation with the reason `loop` when its last 2,048 tokens only repeat the same 256 or fewer. Switch it off
   * for answers that are meant to. Default: `true`.
   */
  readonly loopGuard?: boolean;
  /** How many of the likeliest tokens to report for each token, 0 to 20. */
  readonly logprobs?: number;
  /** The date in the system message, YYYY-MM-DD. Default: none. */
  readonly currentDate?: string;
  /** The rest of the system message; `null` omits it. The application's own instructions belong in `instructions`. */
  readonly systemMessage?: SystemMessage | null;
  /**
   * What to do with a conversation that does not fit in the context: reject with `context-overflow` before any work
   * (`error`), or leave out its oldest turns (`drop-oldest`). Instructions and the last turn always stay; if they do not
   * fit, the generation rejects. Turns also go if the rest leaves neither a quarter of the context nor `maxTokens` for the
   * answer. Default: `error`.
   */
  readonly overflow?: 'error' | 'drop-oldest';
  /** Stops the generation before its next token. */
  readonly signal?: AbortSignal;
}

/** A generation with tools so far. A step is what the model generates at once, and the tools that it calls. */
export interface StepState {
  /** The results of the steps so far; their messages include the results of tools. */
  readonly steps: readonly GenerateResult[];
  /** The conversation that the next step continues. */
  readonly messages: readonly Message[];
}

/** Whether a generation with tools ends, asked after each step. See `stepCountIs` and `hasToolCall`. */
export type StopCondition = (state: StepState) => boolean | Promise<boolean>;

/** Options that may differ from step to step. */
export type StepOptions = Omit<
  GenerateOptions,
  'signal' | 'stopWhen' | 'prepareStep' | 'onStepFinish' | 'maxTokens'
>;

/** Parts of the system message that models were trained with a single value of; change them with care. */
export interface SystemMessage {
  /** The first sentence. Default: that of gpt-oss's training. */
  readonly identity?: string;
  /** Default: `2024-06`; `null` for none. */
  readonly knowledgeCutoff?: string | null;
  /** The channels that the model may use. Default: all. */
  readonly channels?: readonly Channel[];
}

/**
 * Why a generation ended: the model ended its answer (`stop`), `maxTokens` or the context is used up (`length`), the
 * application has to answer calls or a condition of `stopWhen` is met (`tool-calls`), the answer repeats itself (`loop`, see
 * `loopGuard`), or the signal was aborted.
 */
export type FinishReason = 'stop' | 'length' | 'tool-calls' | 'loop' | 'aborted';

/** How many tokens a generation took. */
export interface Usage {
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Prompt tokens whose keys and values were reused from the session. */
  readonly reusedTokens: number;
  /** Tokens generated or forced, control tokens included. */
  readonly completionTokens: number;
  /** Those of them that are reasoning, without control tokens. */
  readonly reasoningTokens: number;
}

/** How long a generation took. */
export interface Timings {
  /** Time from the call to the first token that the model chose. */
  readonly timeToFirstTokenMs: number;
  /** Time to evaluate the prompt. */
  readonly prefillMs: number;
  /** Time from the first token to the last. */
  readonly decodeMs: number;
  /** Prompt tokens evaluated per second. */
  readonly prefillTokensPerSecond: number;
  /** Tokens generated per second, after the first. */
  readonly decodeTokensPerSecond: number;
}

/** A function call by the model. */
export interface ToolCall {
  /** Unique, also among the calls of other generations. */
  readonly id: string;
  /** The function's name, without the `functions.` namespace. */
  readonly name: string;
  /**
   * The parsed arguments; `undefined` if `inputText` is code, such as a call of `python`, is not JSON, or is cut short. An
   * empty text gives an empty object.
   */
  readonly input: unknown;
  /** The arguments as the model wrote them. */
  readonly inputText: string;
}

/** An event of a generation. */
export type GenerateEvent =
  | { readonly type: 'prefill'; readonly processedTokens: number; readonly totalTokens: number }
  | { readonly type: 'reasoning-delta'; readonly text: string }
  | {
      readonly type: 'text-delta';
      readonly text: string;
      /** `final` for the answer, `commentary` for a remark to the user between tool calls. */
      readonly channel: 'final' | 'commentary';
    }
  | {
      readonly type: 'tool-input-delta';
      readonly id: string;
      readonly name: string;
      /** The next part of the arguments. */
      readonly delta: string;
    }
  | ({ readonly type: 'tool-call' } & ToolCall)
  | {
      readonly type: 'tool-result';
      readonly id: string;
      readonly name: string;
      readonly output: unknown;
    }
  | {
      readonly type: 'tool-error';
      readonly id: string;
      readonly name: string;
      /** Why the tool was not run, or what it threw, as the model is told. */
      readonly error: string;
    }
  | {
      readonly type: 'step-finish';
      readonly reason: FinishReason;
      readonly usage: Usage;
      /** The new messages of the step, results of tools included. They are complete even if a later step fails. */
      readonly messages: readonly Message[];
    }
  | {
      readonly type: 'finish';
      readonly reason: FinishReason;
      readonly usage: Usage;
      readonly timings: Timings;
    };

/** A token and its natural-log probability, before temperature and other sampling options. */
export interface TokenLogprob {
  /** The token's id. */
  readonly id: number;
  /** The token's text; bytes that are not UTF-8 on their own become U+FFFD. */
  readonly text: string;
  /** The natural logarithm of its probability. */
  readonly logprob: number;
}

/** The log probability of a generated token, and of the likeliest alternatives. */
export interface TokenLogprobs extends TokenLogprob {
  /** The likeliest tokens at this position, likeliest first. */
  readonly top: readonly TokenLogprob[];
}

/** The result of a generation. */
export interface GenerateResult {
  /** The answer: the final channel. Remarks between tool calls are in `messages`. */
  readonly text: string;
  /** The analysis channel. */
  readonly reasoning: string;
  /** The function calls, in order. */
  readonly toolCalls: readonly ToolCall[];
  /** The parsed answer, if `responseFormat` asked for JSON and the answer is JSON. */
  readonly json?: unknown;
  /** The new messages, to append to the history of the next call. */
  readonly messages: readonly Message[];
  /** How many messages of the input the model has not seen, if `overflow: 'drop-oldest'` left out any. */
  readonly droppedMessages?: number;
  /** Why the generation ended. */
  readonly reason: FinishReason;
  /** Token counts. */
  readonly usage: Usage;
  /** Durations. */
  readonly timings: Timings;
  /** One entry per generated token, if `logprobs` asked for them. */
  readonly logprobs?: readonly TokenLogprobs[];
}

/** A running generation: iterate it for its events, await its result, or both. The result includes unread events. */
export interface Generation extends AsyncIterable<GenerateEvent> {
  /** Resolves when the generation ends or is aborted; rejects on failure. */
  readonly result: Promise<GenerateResult>;
}
