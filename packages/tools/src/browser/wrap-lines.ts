/** The width that gpt-oss was trained with. */
const WIDTH = 80;

/** Tabs are as wide as in a terminal. */
const TAB = 8;

/**
 * Cuts text into lines of at most 80 characters, as Python's `textwrap` does: at spaces, which stay, and after hyphens
 * between letters; words that are longer are cut. The lines that the model cites are those.
 */
export function wrapLines(text: string): string[] {
  return text.split('\n').flatMap((line) => (line === '' ? [''] : wrapLine(expandTabs(line))));
}

function wrapLine(line: string): string[] {
  const lines: string[] = [];
  let current = '';
  let width = 0;
  for (const piece of line.split(/(?<=\s)(?=\S)|(?<=\S)(?=\s)|(?<=\p{L}\p{L}-)(?=\p{L}{2})/u)) {
    const characters = [...piece];
    if (width + characters.length > WIDTH && characters.length <= WIDTH) {
      lines.push(current);
      current = '';
      width = 0;
    }
    let start = 0;
    while (width + characters.length - start > WIDTH) {
      const end = start + WIDTH - width;
      lines.push(current + characters.slice(start, end).join(''));
      start = end;
      current = '';
      width = 0;
    }
    current += characters.slice(start).join('');
    width += characters.length - start;
  }
  return current === '' ? lines : [...lines, current];
}

function expandTabs(line: string): string {
  let width = 0;
  return line.replace(/\t|[^\t]+/g, (part) => {
    const text = part === '\t' ? ' '.repeat(TAB - (width % TAB)) : part;
    width += text.length;
    return text;
  });
}
