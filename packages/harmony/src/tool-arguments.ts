/** The arguments of a tool call, as parsed from what the model wrote. */
export type ToolArguments =
  | {
      /** The arguments, usually an object. */
      readonly input: unknown;
      /** Whether the text was not valid JSON: other text followed the value, or its end was missing. */
      readonly repaired: boolean;
      /** Whether the end was missing, so that `input` holds only part of what the model meant to pass. */
      readonly truncated: boolean;
      readonly invalid?: never;
    }
  | {
      /** The text is not JSON and cannot be repaired. */
      readonly invalid: true;
      /** The text as written. */
      readonly text: string;
      readonly input?: never;
    };

/**
 * Parses the arguments of a tool call. If they are not valid JSON, takes the first complete value in the text, or
 * closes the open brackets and quotes of truncated text: good enough to display, not to run a tool with. Empty text is
 * an empty object. Never throws.
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

// The first complete value or, if the text ends too early, two ways to complete it: with everything open closed, then
// also without the last, incomplete member.
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
  /** End of the first value, if it is complete. */
  readonly valueEnd: number | undefined;
  /** End of the last complete member of an open object or array. */
  readonly memberEnd: number;
  /** The text with an open string closed, and the brackets that close the rest. */
  readonly ending: { readonly text: string; readonly closers: string };
}

function scan(json: string): Scan {
  const open: string[] = [];
  let memberEnd = 0;
  let isString = false;
  // Start of an escape sequence that the end of the text cuts in two.
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
