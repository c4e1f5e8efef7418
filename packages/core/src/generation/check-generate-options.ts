import type { GenerateOptions } from '../types/generate.ts';

type Fields = Readonly<Record<string, unknown>>;

const EFFORTS: readonly unknown[] = ['low', 'medium', 'high'];
const CHANNELS: readonly unknown[] = ['analysis', 'commentary', 'final'];

/**
 * Checks all options of a generation. An option that is `undefined` counts as omitted.
 *
 * @throws TypeError if an option has the wrong type. RangeError if a number or a choice is out of range.
 */
export function checkGenerateOptions(options: unknown): asserts options is GenerateOptions {
  const fields = objectAt('The options', options);
  checkStrings('', fields, ['instructions', 'currentDate']);
  checkChoice('reasoningEffort', fields.reasoningEffort, EFFORTS);
  checkTools('tools', fields.tools);
  checkResponseFormat(fields.responseFormat);
  checkSystemMessage(fields.systemMessage);
  checkNumbers(fields);
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
  check('seed', 'a whole number', Number.isSafeInteger);
  check('maxTokens', 'a whole number above 0', (value) => Number.isInteger(value) && value > 0);
  check(
    'logprobs',
    'a whole number from 0 to 20',
    (value) => Number.isInteger(value) && value >= 0 && value <= 20,
  );
}

function checkTools(place: string, tools: unknown): void {
  for (const [index, entry] of arrayAt(place, tools).entries()) {
    const tool = objectAt(`${place}[${index}]`, entry);
    checkName(`${place}[${index}].name`, tool.name);
    checkStrings(`${place}[${index}].`, tool, ['description']);
    if (tool.parameters !== undefined) objectAt(`${place}[${index}].parameters`, tool.parameters);
    checkFunctions(`${place}[${index}].`, tool, ['validate', 'execute']);
    if (typeof tool.needsApproval !== 'boolean') {
      checkFunctions(`${place}[${index}].`, tool, ['needsApproval']);
    }
  }
}

function checkResponseFormat(format: unknown): void {
  if (format === undefined) return;
  const { type, schema, name } = (format ?? {}) as Fields;
  if (type !== 'json' || !isObject(schema)) {
    throw new TypeError("responseFormat must have the type 'json' and a schema, an object");
  }
  checkStrings('responseFormat.', { name }, ['name']);
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
  const place = 'systemMessage.systemTools';
  for (const [index, entry] of arrayAt(place, message.systemTools).entries()) {
    const namespace = objectAt(`${place}[${index}]`, entry);
    checkName(`${place}[${index}].name`, namespace.name);
    checkStrings(`${place}[${index}].`, namespace, ['description']);
    checkTools(`${place}[${index}].tools`, namespace.tools);
  }
}

function checkSignal(signal: unknown): void {
  if (signal === undefined) return;
  try {
    AbortSignal.any([signal as AbortSignal]); // knows the signals of other frames, too
  } catch {
    throw mustBe('signal', 'an AbortSignal', signal);
  }
}

function checkName(place: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw mustBe(place, 'a non-empty string', value);
}

function checkStrings(prefix: string, fields: Fields, names: readonly string[]): void {
  for (const name of names) {
    const value = fields[name];
    if (value !== undefined && typeof value !== 'string') {
      throw mustBe(prefix + name, 'a string', value);
    }
  }
}

function checkFunctions(prefix: string, fields: Fields, names: readonly string[]): void {
  for (const name of names) {
    const value = fields[name];
    if (value !== undefined && typeof value !== 'function') {
      throw mustBe(prefix + name, 'a function', value);
    }
  }
}

function checkChoice(place: string, value: unknown, choices: readonly unknown[]): void {
  if (value === undefined || choices.includes(value)) return;
  throw new RangeError(`${place} must be one of ${choices.join(', ')}, not ${shown(value)}`);
}

function objectAt(place: string, value: unknown): Fields {
  if (!isObject(value)) throw mustBe(place, 'an object', value);
  return value;
}

function arrayAt(place: string, value: unknown = []): readonly unknown[] {
  if (!Array.isArray(value)) throw mustBe(place, 'an array', value);
  return value;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mustBe(place: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${place} must be ${expected}, not ${shown(value)}`);
}

/** A value in a message: strings are quoted and cut short, objects named by their type. */
function shown(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
