import { createToolNames, type ToolDefinition } from '@ossicle/harmony';
import { messageOf } from '../../errors.ts';
import type { Grammar } from '../../grammar/grammar.ts';
import { GrammarMatcher } from '../../grammar/matcher.ts';
import { choiceGrammar, patternGrammar, schemaGrammar } from '../../grammar/schema-grammar.ts';
import type { GenerateOptions, ResponseFormat } from '../../types/generate.ts';
import type { HarmonyVocabulary } from './harmony-vocabulary.ts';

/** The bytes of all kept grammars together. */
const MAX_BYTES = 64 * 2 ** 20;

/** Bytes of a grammar for each character of the schema that it is made from, that text included. */
const BYTES_PER_CHARACTER = 300;

/** The grammars of the contents that one answer may have. */
export interface AnswerGrammars {
  /** The arguments of tools, by the recipients of their calls; a tool that takes text or code has none. */
  readonly calls: ReadonlyMap<string, GrammarMatcher>;
  /** The final message; `undefined` if it is free. */
  readonly final: GrammarMatcher | undefined;
}

/** Makes the grammars of contents, and keeps them with what has been computed of them. */
export class ContentGrammars {
  readonly #vocabulary: HarmonyVocabulary;
  readonly #maxBytes: number;
  readonly #grammars = new Map<string, GrammarMatcher>();

  /** @param maxBytes - The most bytes of grammars that are kept for later generations. */
  constructor(vocabulary: HarmonyVocabulary, maxBytes: number = MAX_BYTES) {
    this.#vocabulary = vocabulary;
    this.#maxBytes = maxBytes;
  }

  /** About how many bytes the grammars take that are kept, until one of them is used. */
  get sizeBytes(): number {
    let bytes = 0;
    for (const [key, { sizeBytes }] of this.#grammars) {
      bytes += BYTES_PER_CHARACTER * key.length + sizeBytes;
    }
    return bytes;
  }

  /**
   * The grammars that the options of a generation ask for.
   *
   * @throws RangeError if one cannot be enforced; the message names the option.
   */
  of({
    tools = [],
    builtInTools = [],
    toolChoice,
    responseFormat,
  }: GenerateOptions): AnswerGrammars {
    const calls = new Map<string, GrammarMatcher>();
    const add = (
      place: string,
      namespace: string,
      definitions: readonly ToolDefinition[],
    ): void => {
      const { identifiers } = createToolNames(definitions);
      for (const [i, tool] of definitions.entries()) {
        const grammar = named(`${place}[${i}] (${tool.name})`, () => this.#arguments(tool));
        calls.set(`${namespace}.${identifiers[i]}`, grammar);
      }
    };
    if (toolChoice !== 'none') {
      add('tools', 'functions', tools);
      for (const [i, { name, tools: inner = [] }] of builtInTools.entries()) {
        add(`builtInTools[${i}].tools`, name, inner);
      }
    }
    const final =
      responseFormat &&
      named(
        'responseFormat',
        () => this.#response(responseFormat),
        responseFormat.type === 'json' ? JSON_ADVICE : TEXT_ADVICE,
      );
    return { calls, final };
  }

  #arguments({ parameters, strict = true }: ToolDefinition): GrammarMatcher {
    // Some models write nothing where there are no arguments.
    if (!parameters) return this.#keep(['choice', ['{}', '']], () => choiceGrammar(['{}', '']));
    return this.#schema(strict ? { type: 'object', ...parameters } : { type: 'object' });
  }

  #response(format: ResponseFormat): GrammarMatcher {
    if (format.type === 'json') return this.#schema(format.strict === false ? true : format.schema);
    if (format.type === 'regex') {
      return this.#keep(['regex', format.pattern], () => patternGrammar(format.pattern));
    }
    return this.#keep(['choice', format.options], () => choiceGrammar(format.options));
  }

  #schema(schema: unknown): GrammarMatcher {
    return this.#keep(['json', schema], () => schemaGrammar(schema));
  }

  /** Those used last are kept. */
  #keep(source: unknown, make: () => Grammar): GrammarMatcher {
    const key = JSON.stringify(source);
    const matcher = this.#grammars.get(key) ?? new GrammarMatcher(make(), this.#vocabulary);
    this.#grammars.delete(key);
    this.#grammars.set(key, matcher);
    while (this.sizeBytes > this.#maxBytes && this.#grammars.size > 1) {
      const [oldest] = this.#grammars.keys();
      this.#grammars.delete(oldest as string);
    }
    return matcher;
  }
}

const JSON_ADVICE = 'Change the schema, or set strict: false to ask for any JSON.';
const TEXT_ADVICE = 'Ask for less, and check the answer.';

/** Names the option in the message of what is thrown. */
function named<T>(place: string, make: () => T, advice = JSON_ADVICE): T {
  try {
    return make();
  } catch (error) {
    throw new RangeError(`${place} cannot be enforced: ${messageOf(error)} ${advice}`, {
      cause: error,
    });
  }
}
