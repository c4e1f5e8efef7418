/** What a model wrote as the arguments of a call. */
export type ToolArguments =
  | {
      /** The arguments, usually an object. */
      readonly input: unknown;
      /** Whether the text was not JSON as it stood: something followed it, or its end was missing. */
      readonly repaired: boolean;
      /** Whether the end was missing: `input` is what had been written before, and not what the model meant to pass. */
      readonly truncated: boolean;
      readonly invalid?: never;
    }
  | {
      /** The text is not JSON and cannot be made JSON. */
      readonly invalid: true;
      /** The text. */
      readonly text: string;
      readonly input?: never;
    };

/**
 * Parses the arguments of a call. Where they are not JSON, takes the first complete value of the text, or closes the
 * brackets and quotes of a text that was cut off: good to show, not to run a tool with. No text at all is an empty object.
 * Never throws.
 */
export function parseToolArguments(text: string): ToolArguments {
  const json = text.trim().replace(/^```\w*\s*/, '');
  if (json === '') return { input: {}, repaired: text !== '', truncated: text.trim() !== '' };
  const whole = parse(text);
  if (whole) return { input: whole.value, repaired: false, truncated: false };
  if (json.startsWith('{') || json.startsWith('[')) {
    const { isTruncated, candidates } = completions(json);
    for (const candidate of candidates) {
      const parsed = parse(candidate);
      if (parsed) return { input: parsed.value, repaired: true, truncated: isTruncated };
    }
  }
  return { invalid: true, text };
}

// The first complete value or, of a text that ends before it does, ways to end it: with what is open closed, then
// without the last, unfinished member.
function completions(json: string): { isTruncated: boolean; candidates: readonly string[] } {
  const { valueEnd, memberEnd, ending } = scan(json);
  if (valueEnd !== undefined) return { isTruncated: false, candidates: [json.slice(0, valueEnd)] };
  const members = json.slice(0, memberEnd);
  return {
    isTruncated: true,
    candidates: [ending.text + ending.closers, members + scan(members).ending.closers],
  };
}

interface Scan {
  /** Where the first value ends, if it does. */
  readonly valueEnd: number | undefined;
  /** Where the last complete member of an open object or array ends. */
  readonly memberEnd: number;
  /** The text with an open string closed, and the brackets that close the rest. */
  readonly ending: { readonly text: string; readonly closers: string };
}

function scan(json: string): Scan {
  const open: string[] = [];
  let memberEnd = 0;
  let isString = false;
  // Where an escape begins that was cut in two.
  let stringEnd = json.length;
  let valueEnd: number | undefined;
  for (let i = 0; i < json.length && valueEnd === undefined; i++) {
    const character = json[i];
    if (isString) {
      if (character === '\\') {
        if (i + (json[i + 1] === 'u' ? 6 : 2) > json.length) stringEnd = i;
        i += 1;
      } else if (character === '"') {
        isString = false;
      }
    } else if (character === '"') {
      isString = true;
    } else if (character === '{' || character === '[') {
      open.push(character === '{' ? '}' : ']');
      memberEnd = i + 1;
    } else if (character === '}' || character === ']') {
      open.pop();
      if (open.length === 0) valueEnd = i + 1;
    } else if (character === ',') {
      memberEnd = i;
    }
  }
  const text = isString ? `${json.slice(0, stringEnd)}"` : json;
  return { valueEnd, memberEnd, ending: { text, closers: open.reverse().join('') } };
}

function parse(json: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(json) };
  } catch {
    return undefined;
  }
}
