import {
  createHeaderGrammar,
  type HeaderGrammar,
  type HeaderGrammarOptions,
  type Tokenizer,
} from '@ossicle/harmony';
import type { GrammarMatcher } from '../../grammar/matcher.ts';
import type { GenerateOptions } from '../../types/generate.ts';
import { type Constraint, FREE, type Guide } from './constraint.ts';
import { type AnswerGrammars, ContentGrammars } from './content-grammars.ts';
import { GrammarContent } from './grammar-content.ts';
import { HarmonyVocabulary } from './harmony-vocabulary.ts';

/** Makes the constraints of answers in Harmony. */
export class HarmonyConstraints {
  readonly #vocabulary: HarmonyVocabulary;
  readonly #grammars: ContentGrammars;

  /** @param vocabularySize - The number of tokens of the model, which may exceed the tokenizer's. */
  constructor(tokenizer: Tokenizer, vocabularySize: number) {
    this.#vocabulary = new HarmonyVocabulary(tokenizer, vocabularySize);
    this.#grammars = new ContentGrammars(this.#vocabulary);
  }

  /**
   * The constraint of the answer to a prompt; `undefined` if anything may come, as after a prompt that has no messages.
   *
   * @throws RangeError if what the options ask for cannot be enforced, or if the prompt begins an answer that is none of
   * `responseFormat`.
   */
  of(options: GenerateOptions, prompt: ArrayLike<number>): Constraint | undefined {
    const { tokenizer, ids } = this.#vocabulary;
    const header = headerOptions(options);
    const headers = createHeaderGrammar(tokenizer, header);
    const { reasoningBudget: tokens } = options;
    const budget =
      tokens === undefined
        ? undefined
        : {
            tokens,
            headersAfter: createHeaderGrammar(tokenizer, { ...header, canReason: false }),
          };
    const grammars = this.#grammars.of(options);
    const start = Array.from(prompt).lastIndexOf(ids.start);
    if (start < 0) {
      const { responseFormat, toolChoice } = options;
      const isFree = toolChoice === 'auto' || toolChoice === 'none';
      const asked = {
        responseFormat,
        reasoningBudget: tokens,
        toolChoice: isFree ? undefined : toolChoice,
      };
      const [name] = Object.entries(asked).find(([, value]) => value !== undefined) ?? [];
      if (name === undefined) return undefined;
      throw new RangeError(
        `${name} needs a prompt with <|start|>, which begins a message; give messages, or omit it`,
      );
    }
    const constraint = new HarmonyConstraint(this.#vocabulary, headers, grammars, budget);
    for (let i = start; i < prompt.length; i++) constraint.push(prompt[i] as number);
    if (constraint.hasLeftGrammar) {
      throw new RangeError('The prompt begins an answer that does not follow responseFormat.');
    }
    constraint.startCounting();
    return constraint;
  }
}

function headerOptions(options: GenerateOptions): HeaderGrammarOptions {
  const { tools, builtInTools, toolChoice, systemMessage, responseFormat } = options;
  const { channels } = systemMessage ?? {};
  return {
    ...(tools && { tools }),
    ...(toolChoice && { toolChoice }),
    ...(channels && { channels }),
    ...(builtInTools && { systemTools: builtInTools }),
    isJson: responseFormat?.type === 'json',
  };
}

/** How many tokens of reasoning may come, and the headers that may come after them. */
interface Budget {
  readonly tokens: number;
  readonly headersAfter: HeaderGrammar;
}

/** Headers token by token; contents by their grammars, and free if they have none. */
class HarmonyConstraint implements Constraint {
  readonly #vocabulary: HarmonyVocabulary;
  readonly #grammars: AnswerGrammars;
  readonly #budget: Budget | undefined;
  readonly #ownHeaders: HeaderGrammar;
  /** The ids of the header, since the last `<|start|>`. */
  #header: number[] = [];
  /** The open message's content; `undefined` in a header. */
  #content: Constraint | undefined;
  /** Whether reasoning has begun. */
  #hasReasoned = false;
  /** Tokens of the answer's reasoning. */
  #reasoningTokens = 0;

  constructor(
    vocabulary: HarmonyVocabulary,
    headers: HeaderGrammar,
    grammars: AnswerGrammars,
    budget: Budget | undefined,
  ) {
    this.#vocabulary = vocabulary;
    this.#ownHeaders = headers;
    this.#grammars = grammars;
    this.#budget = budget;
  }

  /** Whether the open message has what its grammar does not allow. */
  get hasLeftGrammar(): boolean {
    return this.#content instanceof GrammarContent && this.#content.hasLeft;
  }

  /** Begins the answer: reasoning of the prompt does not count. */
  startCounting(): void {
    this.#reasoningTokens = 0;
  }

  next(): Guide {
    if (this.#content) return this.#content.next();
    const tokens = this.#headers.forced(this.#header);
    if (tokens.length > 0) return { kind: 'force', tokens };
    const next = this.#headers.next(this.#header) ?? [];
    // Only a prompt begins a header that is none of the answer's.
    return next.length > 0 ? { kind: 'mask', mask: () => this.#vocabulary.only(next) } : FREE;
  }

  push(token: number): void {
    const { tokenizer, ids } = this.#vocabulary;
    if (this.#content && !tokenizer.isSpecial(token)) {
      this.#content.push(token);
    } else if (this.#content || token === ids.start) {
      this.#content = undefined;
      this.#header = token === ids.start ? [token] : [];
    } else {
      this.#header.push(token);
      if (token === ids.message) this.#content = this.#contentAfter(tokenizer.decode(this.#header));
    }
  }

  /** The headers that may come: none of reasoning after reasoning that has spent the budget. */
  get #headers(): HeaderGrammar {
    const budget = this.#budget;
    const isSpent = budget && this.#hasReasoned && this.#reasoningTokens >= budget.tokens;
    return isSpent ? budget.headersAfter : this.#ownHeaders;
  }

  #contentAfter(header: string): Constraint {
    const { ids } = this.#vocabulary;
    const [, recipient] = / to=([^\s<]+)/.exec(header) ?? [];
    if (recipient !== undefined) {
      const matcher = this.#grammars.calls.get(recipient);
      return matcher ? this.#grammar(matcher, ids.call) : this.#free([ids.call]);
    }
    if (header.includes('<|channel|>analysis')) return this.#reasoning();
    if (!header.includes('<|channel|>final')) return this.#free([ids.end]);
    if (this.#grammars.final) return this.#grammar(this.#grammars.final, ids.return);
    const { endOfText } = ids;
    return this.#free([ids.return, ids.end, ...(endOfText === undefined ? [] : [endOfText])]);
  }

  #grammar(matcher: GrammarMatcher, end: number): Constraint {
    matcher.restart();
    return new GrammarContent(this.#vocabulary, matcher, end);
  }

  /** Any text, up to a control token that may end the message. */
  #free(ends: readonly number[]): Constraint {
    const guide: Guide = { kind: 'free', mask: this.#vocabulary.textAnd(ends) };
    return { next: () => guide, push: () => undefined };
  }

  /** Any text, up to the end of the message or of the budget. */
  #reasoning(): Constraint {
    this.#hasReasoned = true;
    const { end } = this.#vocabulary.ids;
    const free = this.#free([end]);
    const budget = this.#budget;
    if (!budget) return free;
    return {
      next: () =>
        this.#reasoningTokens < budget.tokens ? free.next() : { kind: 'force', tokens: [end] },
      push: () => void this.#reasoningTokens++,
    };
  }
}
