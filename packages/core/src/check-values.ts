/** Checks of what applications pass in. */

/** The fields of an object. */
export type Fields = Readonly<Record<string, unknown>>;

/** Checks that a value is an object, and no array. @throws TypeError if it is not. */
export function objectAt(place: string, value: unknown): Fields {
  if (!isObject(value)) throw mustBe(place, 'an object', value);
  return value;
}

/** @throws TypeError if a value is neither an `AbortSignal` nor omitted. */
export function checkSignal(signal: unknown): void {
  if (signal === undefined) return;
  try {
    AbortSignal.any([signal as AbortSignal]); // knows the signals of other frames, too
  } catch {
    throw mustBe('signal', 'an AbortSignal', signal);
  }
}

/** @throws TypeError if one of several fields is neither a function nor omitted. */
export function checkFunctions(prefix: string, fields: Fields, names: readonly string[]): void {
  for (const name of names) {
    const value = fields[name];
    if (value !== undefined && typeof value !== 'function') {
      throw mustBe(prefix + name, 'a function', value);
    }
  }
}

/**
 * Checks the options of a task.
 *
 * @throws TypeError if they are no object, or their `signal` or `onProgress` is of another type.
 */
export function checkTaskOptions(options: unknown): void {
  const fields = objectAt('The options', options);
  checkSignal(fields.signal);
  checkFunctions('', fields, ['onProgress']);
}

/**
 * Checks those options of a load that do not depend on the model.
 *
 * @throws TypeError if an option has the wrong type. RangeError if `minBytesPerSecond` is out of range.
 */
export function checkLoadOptions(options: unknown): void {
  checkTaskOptions(options);
  const fields = options as Fields;
  for (const name of ['huggingFace', 'integrity']) {
    if (fields[name] !== undefined) objectAt(name, fields[name]);
  }
  for (const name of ['store', 'tune']) {
    const value = fields[name];
    if (value !== undefined && typeof value !== 'boolean') {
      throw mustBe(name, 'true or false', value);
    }
  }
  const { minBytesPerSecond: least = 0 } = fields;
  if (typeof least !== 'number' || !(least >= 0 && least < Infinity)) {
    throw new RangeError(`minBytesPerSecond must be a number from 0, not ${shown(least)}`);
  }
}

/** Whether a value is an object, and no array. */
export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The error for a value of the wrong type. */
export function mustBe(place: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${place} must be ${expected}, not ${shown(value)}`);
}

/** A value in a message: strings are quoted and cut short, objects named by their type. */
export function shown(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
