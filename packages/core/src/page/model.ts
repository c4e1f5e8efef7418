import type { Channel, Message, ToolDefinition } from '@ossicle/harmony';
import { isOssicleError } from '../errors.ts';
import { checkGenerateOptions } from '../generation/check-generate-options.ts';
import { EventStream, startGeneration } from '../generation/event-stream.ts';
import { generateWithTools } from '../generation/tool-loop.ts';
import type { Diagnosis } from '../types/diagnosis.ts';
import type {
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  Generation,
} from '../types/generate.ts';
import type { ModelInfo } from '../types/load.ts';
import type { PlainGenerateOptions } from '../worker/model-service.ts';
import type { WorkerClient } from './worker-client.ts';

/** A loaded model in its own worker. It holds the keys and values of one conversation; calls run one at a time. */
export interface Model {
  /** The model that was loaded. */
  readonly info: ModelInfo;
  /**
   * Generates an answer. Tools that have an `execute`, built-in ones included, are run on the page, and the model goes on with their results;
   * calls of other tools end the generation with the reason `tool-calls`.
   *
   * @param input - A user's message, or a conversation. Append the messages of each result to the conversation, so that
   * their keys and values are reused.
   * @returns Iterate it for its events, or await its `result`. Both reject with {@link OssicleError}, or with TypeError
   * or RangeError if an option is wrong. An aborted generation does not reject: it ends with the reason `aborted`,
   * within seconds. If the worker is then too busy to notice, it is terminated, and later calls reject with
   * `worker-failed`.
   */
  generate(input: string | readonly Message[], options?: GenerateOptions): Generation;
  /** Counts the tokens in the prompt that {@link Model.generate} would evaluate. */
  countTokens(input: string | readonly Message[], options?: GenerateOptions): Promise<number>;
  /**
   * Describes the GPU, the kernels in use, their times and the result of a self-test, as data and as text to paste into a
   * report. Waits for a generation in progress. Contains nothing of any conversation.
   *
   * @throws {@link OssicleError} `out-of-memory`, `device-lost`, `disposed`.
   */
  diagnose(): Promise<Diagnosis>;
  /** Releases all memory. Calls in progress reject with `disposed`. */
  dispose(): Promise<void>;
}

/** The page's side of a model. */
export class WorkerModel implements Model {
  readonly info: ModelInfo;
  readonly #worker: WorkerClient;

  constructor(worker: WorkerClient, info: ModelInfo) {
    this.#worker = worker;
    this.info = info;
  }

  generate(input: string | readonly Message[], options: GenerateOptions = {}): Generation {
    return startGeneration(options, () =>
      generateWithTools((messages, once) => this.#generate(messages, once), input, options),
    );
  }

  #generate(input: readonly Message[], options: GenerateOptions): Generation {
    return new EventStream(async (push, signal) => {
      const events: GenerateEvent[] = [];
      const startMs = performance.now();
      const onReport = (event: GenerateEvent): void => {
        events.push(event);
        push(event);
      };
      try {
        return await this.#worker.run<GenerateResult, GenerateEvent>(
          (service, task) => service.generate(...task, input, toPlain(options)),
          { signal, onReport },
        );
      } catch (error) {
        const isBroken = isOssicleError(error) && error.code === 'worker-failed';
        if (!signal.aborted || !isBroken) throw error;
        return abortedResult(events, options, performance.now() - startMs);
      }
    }, options.signal);
  }

  diagnose(): Promise<Diagnosis> {
    return this.#worker.call((service) => service.diagnose());
  }

  async countTokens(
    input: string | readonly Message[],
    options: GenerateOptions = {},
  ): Promise<number> {
    checkGenerateOptions(options);
    return this.#worker.call((service) => service.countTokens(input, toPlain(options)));
  }

  async dispose(): Promise<void> {
    await this.#worker.dispose((service) => service.dispose());
  }
}

/** The result of an aborted generation whose worker never answered, from the events that arrived. */
function abortedResult(
  events: readonly GenerateEvent[],
  { tools = [] }: GenerateOptions,
  elapsedMs: number,
): GenerateResult {
  const textOf = (...channels: Channel[]): string =>
    events
      .map((event) => {
        if (event.type !== 'reasoning-delta' && event.type !== 'text-delta') return '';
        const channel = event.type === 'text-delta' ? event.channel : 'analysis';
        return channels.includes(channel) ? event.text : '';
      })
      .join('');
  const toolCalls = events
    .filter((event) => event.type === 'tool-call')
    .map(({ type: _, ...call }) => call);
  const calls = toolCalls.map(({ name, inputText }): Message => {
    const recipient = tools.some((tool) => tool.name === name) ? `functions.${name}` : name;
    return { role: 'assistant', channel: 'commentary', recipient, content: inputText };
  });
  const say = (channel: Channel): Message => ({
    role: 'assistant',
    channel,
    content: textOf(channel),
  });
  const messages = [say('analysis'), say('commentary'), ...calls, say('final')];
  return {
    text: textOf('commentary', 'final'),
    reasoning: textOf('analysis'),
    toolCalls,
    messages: messages.filter(({ content, recipient }) => content !== '' || recipient),
    reason: 'aborted',
    usage: { promptTokens: 0, reusedTokens: 0, completionTokens: 0, reasoningTokens: 0 },
    timings: {
      timeToFirstTokenMs: elapsedMs,
      prefillMs: 0,
      decodeMs: 0,
      prefillTokensPerSecond: 0,
      decodeTokensPerSecond: 0,
    },
  };
}

/** The options that can be cloned: without the signal, those of the loop that runs tools, and the tools' functions. */
function toPlain(options: GenerateOptions): PlainGenerateOptions {
  const {
    signal: _signal,
    stopWhen: _stopWhen,
    prepareStep: _prepareStep,
    onStepFinish: _onStepFinish,
    repairToolCall: _repairToolCall,
    approveToolCall: _approveToolCall,
    ...plain
  } = options;
  const { tools, systemMessage } = plain;
  return {
    ...plain,
    ...(tools && { tools: tools.map(withoutFunctions) }),
    ...(systemMessage?.systemTools && {
      systemMessage: {
        ...systemMessage,
        systemTools: systemMessage.systemTools.map(({ name, description, tools: inner }) => ({
          name,
          ...(description !== undefined && { description }),
          ...(inner && { tools: inner.map(withoutFunctions) }),
        })),
      },
    }),
  };
}

function withoutFunctions(tool: ToolDefinition): ToolDefinition {
  const {
    validate: _validate,
    needsApproval: _needsApproval,
    execute: _execute,
    toModelOutput: _toModelOutput,
    ...plain
  } = tool;
  return plain;
}
