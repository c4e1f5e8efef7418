import type { Message } from '@ossicle/harmony';
import { isObject, mustBe, objectAt } from '../check-values.ts';
import { OssicleError } from '../errors.ts';
import type { ClassifyOptions, Verdict } from '../types/classify.ts';
import type { GenerateOptions, GenerateResult, Generation, JSONSchema } from '../types/generate.ts';

/** What {@link classify} needs of a model or a session. */
export interface Classifier {
  generate(input: readonly Message[], options: GenerateOptions): Generation;
}

const FORMAT =
  'Answer as {"violation":0|1,"policy_category":"...","rationale":"..."}. The violation is 1 if the content violates the ' +
  'policy, otherwise 0; then the policy_category is null.';

/**
 * Judges a content, or several, by a policy. gpt-oss-safeguard is trained for it; other gpt-oss models manage simple
 * policies. The policy is evaluated once: contents that follow each other share it.
 *
 * @param model - A model, or a session of `ossicle/engine`.
 * @throws {@link OssicleError} `answer-invalid` if the model gives no verdict; otherwise as `generate()` does. TypeError if an
 * option has the wrong type.
 */
export function classify(
  model: Classifier,
  options: ClassifyOptions & { readonly content: string },
): Promise<Verdict>;
export function classify(
  model: Classifier,
  options: ClassifyOptions & { readonly content: readonly string[] },
): Promise<Verdict[]>;
export async function classify(
  model: Classifier,
  options: ClassifyOptions & { readonly content: string | readonly string[] },
): Promise<Verdict | Verdict[]> {
  checkOptions(options);
  const { content } = options;
  if (typeof content === 'string') return classifyOne(model, content, options);
  const verdicts: Verdict[] = [];
  for (const each of content) verdicts.push(await classifyOne(model, each, options));
  return verdicts;
}

async function classifyOne(
  model: Classifier,
  content: string,
  { policy, categories, reasoningEffort, signal }: ClassifyOptions,
): Promise<Verdict> {
  const { result } = model.generate([{ role: 'user', content }], {
    instructions: `${FORMAT}\n\n${policy}\n\n${FORMAT}`, // both the first and the last thing that is read
    responseFormat: { type: 'json', name: 'verdict', schema: verdictSchema(categories) },
    temperature: 0,
    ...(reasoningEffort && { reasoningEffort }),
    ...(signal && { signal }),
  });
  const answer = await result;
  if (answer.reason === 'aborted') signal?.throwIfAborted();
  return readVerdict(answer, categories);
}

/** A violation has one of the categories, if they are given. */
function verdictSchema(categories: readonly string[] | undefined): JSONSchema {
  if (!categories) return verdictWith([0, 1], { type: ['string', 'null'] });
  return { anyOf: [verdictWith([1], { enum: categories }), verdictWith([0], { type: 'null' })] };
}

function verdictWith(violations: readonly number[], category: JSONSchema): JSONSchema {
  return {
    type: 'object',
    properties: {
      violation: { type: 'integer', enum: violations },
      policy_category: category,
      rationale: { type: 'string' },
    },
    required: ['violation', 'policy_category', 'rationale'],
    additionalProperties: false,
  };
}

function readVerdict(
  { json, text, reason, reasoning }: GenerateResult,
  categories: readonly string[] | undefined,
): Verdict {
  const { violation, policy_category: category, rationale } = isObject(json) ? json : {};
  const isViolation = violation === 1 || violation === true;
  const isJudged = isViolation || violation === 0 || violation === false;
  const isKnown = !categories || categories.some((name) => name === category);
  if (!isJudged || typeof rationale !== 'string' || (isViolation && !isKnown)) {
    throw new OssicleError(
      'answer-invalid',
      `The model gave no verdict on the content, but ended with the reason ${reason} and the answer ` +
        `${JSON.stringify(text.slice(0, 200))}. Use a model of gpt-oss-safeguard, or shorten the policy.`,
    );
  }
  const named = isViolation && typeof category === 'string' ? category : null;
  return { violation: isViolation, category: named, rationale, reasoning };
}

/** The others are checked by `generate()`. */
function checkOptions(options: unknown): void {
  const { policy, content, categories } = objectAt('The options', options);
  if (typeof policy !== 'string') throw mustBe('policy', 'a string', policy);
  if (typeof content !== 'string' && !isStrings(content)) {
    throw mustBe('content', 'a string or an array of strings', content);
  }
  if (categories !== undefined && !(isStrings(categories) && categories.length > 0)) {
    throw mustBe('categories', 'an array of strings that is not empty', categories);
  }
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
