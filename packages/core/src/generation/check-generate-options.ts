import {
  checkFunctions,
  checkSignal,
  type Fields,
  isObject,
  mustBe,
  objectAt,
  shown,
} from '../check-values.ts';
import type { GenerateOptions } from '../types/generate.ts';

const EFFORTS: readonly unknown[] = ['low', 'medium', 'high'];
const CHANNELS: readonly unknown[] = ['analysis', 'commentary', 'final'];

/** How deep the values of a schema may be nested; those of `properties` take two levels. */
const MAX_SCHEMA_DEPTH = 128;

/** The most values of a schema, each counted as often as it occurs. */
const MAX_SCHEMA_VALUES = 100_000;

/**
 * Checks all options of a generation. An option that is `undefined` counts as omitted.
 *
 * @throws TypeError if an option has the wrong type. RangeError if a number or a choice is out of range.
 */
export function checkGenerateOptions(options: unknown): asserts options is GenerateOptions {
  const fields = objectAt('The options', options);
  checkStrings('', fields, ['instructions', 'currentDate', 'prefillText']);
  for (const name of ['keepAnalysis', 'loopGuard']) checkBoolean(name, fields[name]);
  checkChoice('reasoningEffort', fields.reasoningEffort, EFFORTS);
  checkChoice('overflow', fields.overflow, ['error', 'drop-oldest']);
  checkTools('tools', fields.tools);
  checkToolChoice(fields.toolChoice);
  checkResponseFormat(fields.responseFormat);
  checkSystemMessage(fields.systemMessage);
  checkBuiltInTools(fields);
  checkFinalChannel(fields);
  checkNumbers(fields);
  checkLogitBias(fields.logitBias);
  const { stop = [] } = fields;
  if (!Array.isArray(stop) || stop.some((text) => typeof text !== 'string' || text === '')) {
    throw new TypeError('stop must be an array of non-empty strings');
  }
  checkFunctions('', fields, ['prepareStep', 'onStepFinish', 'repairToolCall', 'approveToolCall']);
  for (const condition of [fields.stopWhen].flat()) {
    checkFunctions('', { stopWhen: condition }, ['stopWhen']);
  }
  checkSignal(fields.signal);
}

function checkNumbers(fields: Fields): void {
  const check = (name: string, range: string, isValid: (value: number) => boolean): void => {
    const value = fields[name];
    if (value === undefined || (typeof value === 'number' && isValid(value))) return;
    throw new RangeError(`${name} must be ${range}, not ${shown(value)}`);
  };
  check('temperature', 'from 0 to 100', (value) => value >= 0 && value <= 100);
  check('topP', 'above 0 and up to 1', (value) => value > 0 && value <= 1);
  check(
    'topK',
    'a whole number from 0 to 4294967295',
    (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32,
  );
  check('minP', 'from 0 to 1', (value) => value >= 0 && value <= 1);
  check('repetitionPenalty', 'above 0 and up to 100', (value) => value > 0 && value <= 100);
  check('presencePenalty', 'from -2 to 2', (value) => Math.abs(value) <= 2);
  check('frequencyPenalty', 'from -2 to 2', (value) => Math.abs(value) <= 2);
  check('seed', 'a whole number', Number.isSafeInteger);
  check('maxTokens', 'a whole number above 0', (value) => Number.isInteger(value) && value > 0);
  check(
    'reasoningBudget',
    'a whole number from 0',
    (value) => Number.isSafeInteger(value) && value >= 0,
  );
  check(
    'logprobs',
    'a whole number from 0 to 20',
    (value) => Number.isInteger(value) && value >= 0 && value <= 20,
  );
}

function checkLogitBias(bias: unknown): void {
  if (bias === undefined) return;
  const entries = bias instanceof Map ? bias : Object.entries(objectAt('logitBias', bias));
  for (const [id, value] of entries) {
    if (!/^\d+$/.test(String(id))) {
      throw new RangeError(`The keys of logitBias must be ids of tokens, not ${shown(id)}`);
    }
    if (value === -Infinity || (typeof value === 'number' && Math.abs(value) <= 100)) continue;
    throw new RangeError(
      `logitBias must be from -100 to 100, or -Infinity, not ${shown(value)} for ${id}`,
    );
  }
}

function checkTools(place: string, tools: unknown): void {
  for (const [index, entry] of arrayAt(place, tools).entries()) {
    const tool = objectAt(`${place}[${index}]`, entry);
    checkName(`${place}[${index}].name`, tool.name);
    checkStrings(`${place}[${index}].`, tool, ['description']);
    if (tool.parameters !== undefined)
      checkSchema(`${place}[${index}].parameters`, tool.parameters);
    checkBoolean(`${place}[${index}].strict`, tool.strict);
    checkFunctions(`${place}[${index}].`, tool, ['validate']);
    checkRunnable(`${place}[${index}].`, tool);
  }
}

/** Checks what tools and namespaces share. */
function checkRunnable(prefix: string, tool: Fields): void {
  checkFunctions(prefix, tool, ['execute', 'toModelOutput']);
  if (typeof tool.needsApproval !== 'boolean') checkFunctions(prefix, tool, ['needsApproval']);
}

function checkToolChoice(choice: unknown): void {
  if (isObject(choice)) checkName('toolChoice.name', choice.name);
  else checkChoice('toolChoice', choice, ['auto', 'none', 'required']);
}

function checkResponseFormat(format: unknown): void {
  if (format === undefined) return;
  const { type, schema, name, strict, pattern, options } = (format ?? {}) as Fields;
  if (type === 'json' && isObject(schema)) {
    checkSchema('responseFormat.schema', schema);
    checkStrings('responseFormat.', { name }, ['name']);
    checkBoolean('responseFormat.strict', strict);
    return;
  }
  if (type === 'regex' && typeof pattern === 'string') return;
  if (type === 'choice' && Array.isArray(options) && options.length > 0) {
    if (options.every((text) => typeof text === 'string')) return;
  }
  throw new TypeError(
    "responseFormat must have the type 'json' and a schema, an object; the type 'regex' and a pattern; or the type " +
      "'choice' and options, strings",
  );
}

function checkBoolean(place: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') throw mustBe(place, 'a boolean', value);
}

/** Schemas are walked by recursion, here and in the worker. */
function checkSchema(place: string, schema: unknown): void {
  let values = 0;
  const check = (value: unknown, depth: number): void => {
    if (depth > MAX_SCHEMA_DEPTH) {
      throw new RangeError(
        `${place} is nested more than ${MAX_SCHEMA_DEPTH} deep, or contains itself; use $ref for a recursive schema`,
      );
    }
    if (++values > MAX_SCHEMA_VALUES) {
      throw new RangeError(`${place} has more than ${MAX_SCHEMA_VALUES} values`);
    }
    if (typeof value !== 'object' || value === null) return;
    for (const inner of Object.values(value)) check(inner, depth + 1);
  };
  check(objectAt(place, schema), 1);
}

function checkSystemMessage(message: unknown): void {
  if (message === undefined || message === null) return;
  if (!isObject(message)) {
    throw new TypeError(
      'systemMessage must be an object or null; put what the application tells the model into instructions',
    );
  }
  checkStrings('systemMessage.', message, ['identity']);
  if (message.knowledgeCutoff !== null)
    checkStrings('systemMessage.', message, ['knowledgeCutoff']);
  for (const [index, channel] of arrayAt('systemMessage.channels', message.channels).entries()) {
    checkChoice(`systemMessage.channels[${index}]`, channel ?? null, CHANNELS);
  }
}

/** Checks that the final channel, which some options are about, may be used. */
function checkFinalChannel({ systemMessage, ...fields }: Fields): void {
  const channels = arrayAt('', isObject(systemMessage) ? systemMessage.channels : undefined);
  if (channels.length === 0 || channels.includes('final')) return;
  for (const name of ['responseFormat', 'prefillText']) {
    if (fields[name] === undefined) continue;
    throw new RangeError(
      `${name} needs the channel final, which systemMessage.channels leaves out`,
    );
  }
}

function checkBuiltInTools({ builtInTools, systemMessage }: Fields): void {
  const place = 'builtInTools';
  for (const [index, entry] of arrayAt(place, builtInTools).entries()) {
    const namespace = objectAt(`${place}[${index}]`, entry);
    checkName(`${place}[${index}].name`, namespace.name);
    checkRecipient(`${place}[${index}].name`, namespace.name);
    checkStrings(`${place}[${index}].`, namespace, ['description']);
    checkTools(`${place}[${index}].tools`, namespace.tools);
    checkRunnable(`${place}[${index}].`, namespace);
  }
  if (systemMessage === null && arrayAt(place, builtInTools).length > 0) {
    throw new RangeError('builtInTools need the system message, which systemMessage: null omits');
  }
}

function checkName(place: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw mustBe(place, 'a non-empty string', value);
}

/** Checks a name that headers have as it is; those of tools are made identifiers. */
function checkRecipient(place: string, name: unknown): void {
  if (!/[\s<]/.test(String(name))) return;
  throw new RangeError(`${place} must have neither spaces nor "<", not ${shown(name)}`);
}

function checkStrings(prefix: string, fields: Fields, names: readonly string[]): void {
  for (const name of names) {
    const value = fields[name];
    if (value !== undefined && typeof value !== 'string') {
      throw mustBe(prefix + name, 'a string', value);
    }
  }
}

function checkChoice(place: string, value: unknown, choices: readonly unknown[]): void {
  if (value === undefined || choices.includes(value)) return;
  throw new RangeError(`${place} must be one of ${choices.join(', ')}, not ${shown(value)}`);
}

function arrayAt(place: string, value: unknown = []): readonly unknown[] {
  if (!Array.isArray(value)) throw mustBe(place, 'an array', value);
  return value;
}
