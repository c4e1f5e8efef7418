type Highlighter = typeof import('highlight.js/lib/common').default;

/** Longer code is shown without colors: its grammar may need time in the square of its length. */
const MAX_CODE_LENGTH = 30_000;

let loading: Promise<Highlighter | undefined> | undefined;

/** Colors whole code in a language that the highlighter knows; the first call loads it. */
export async function highlight(code: HTMLElement, language: string): Promise<void> {
  const text = code.textContent ?? '';
  if (text.length > MAX_CODE_LENGTH) return;
  loading ??= load();
  const highlighter = await loading;
  if (highlighter?.getLanguage(language) === undefined) return;
  const { value } = highlighter.highlight(text, { language, ignoreIllegals: true });
  const { body } = new DOMParser().parseFromString(value, 'text/html');
  // The highlighter escapes the code: anything but its spans around the same text would be its mistake.
  const isSound =
    body.textContent === text && body.querySelector(':not(span)') === null && code.isConnected;
  if (isSound) code.replaceChildren(...body.childNodes);
}

async function load(): Promise<Highlighter | undefined> {
  try {
    return (await import('highlight.js/lib/common')).default;
  } catch (error) {
    loading = undefined; // the next code tries again
    reportError(error);
    return undefined;
  }
}
