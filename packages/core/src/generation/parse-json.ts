const FENCE = '```';

/** Parses an answer that should be JSON, also if a Markdown fence surrounds it; `undefined` if it is not JSON. */
export function parseJson(text: string): unknown {
  const json = text.trim();
  const isFenced = json.startsWith(FENCE) && json.endsWith(FENCE);
  try {
    return JSON.parse(isFenced ? json.slice(json.indexOf('\n'), -FENCE.length) : json);
  } catch {
    return undefined; // the answer remains as text
  }
}
