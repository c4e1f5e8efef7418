import {
  Lexer,
  type MarkedOptions,
  type Token,
  Tokenizer,
  type Tokens,
  type TokensList,
} from 'marked';
import { formulaLine } from './formulas.ts';

/** Quotes and lists nest this deep; deeper ones are shown as text. */
const MAX_DEPTH = 16;
/** marked needs time in the square of the delimiters, so inline text is parsed in pieces of at most this many. */
const MAX_DELIMITERS = 256;
/** Inline text is parsed in pieces of at most this many characters: each delimiter may search the rest of its piece. */
const MAX_PIECE_LENGTH = 8192;
/** Rows beyond this many cells are shown as text: marked fills short rows up to the width of the header. */
const MAX_CELLS = 4000;
/** An underlined heading has at most this many lines: marked looks for the underline from each line of a list item. */
const MAX_HEADING_LINES = 8;
/** A longer quote becomes several: marked parses a quoted list anew for each line that continues it. */
const MAX_QUOTE_LINES = 200;

const DELIMITERS = '*_~`[]<!\\';
/** The markers of quotes and lists that start a line, as many as may nest; but not a rule, such as `* * *`. */
const MARKERS = new RegExp(
  String.raw`^(?![ \t]*([-*])(?:[ \t]*\1)*[ \t]*$)(?:[ \t]*(?:>|[-*+][ \t]|\d{1,9}[.)][ \t])){${MAX_DEPTH}}[ \t]*`,
  'gm',
);
/** Keeps a marker that follows from being one. */
const ZERO_WIDTH_SPACE = '\u200b';

/**
 * Lexes Markdown as marked does, but bounds the depth and the work: marked overflows the stack on 2,400 nested lists and
 * needs 10 seconds for 30 kB of unclosed emphasis.
 */
export class BoundedLexer extends Lexer {
  #depth = 0;

  constructor(options: MarkedOptions) {
    super({ ...options, tokenizer: new BoundedTokenizer() });
  }

  override lex(markdown: string): TokensList {
    return super.lex(markdown.replace(MARKERS, `$&${ZERO_WIDTH_SPACE}`));
  }

  override blockTokens(text: string, tokens?: Token[], isClipped?: boolean): Token[];
  override blockTokens(text: string, tokens?: TokensList, isClipped?: boolean): TokensList;
  override blockTokens(text: string, tokens: Token[] = [], isClipped = false): Token[] {
    if (this.#depth === MAX_DEPTH) {
      this.state.top = true;
      tokens.push({ type: 'text', raw: text, text, tokens: [{ type: 'text', raw: text, text }] });
      return tokens;
    }
    this.#depth++;
    super.blockTokens(text, tokens, isClipped);
    this.#depth--;
    return tokens;
  }

  override inlineTokens(text: string, tokens: Token[] = []): Token[] {
    for (const piece of inlinePieces(text)) super.inlineTokens(piece, tokens);
    return tokens;
  }
}

class BoundedTokenizer extends Tokenizer {
  override table(text: string): Tokens.Table | undefined {
    const [header = '', delimiters = ''] = text.split('\n', 2);
    const queue = this.lexer.inlineQueue;
    const { length } = queue;
    const columns = super.table(`${header}\n${delimiters}`)?.header.length;
    queue.length = length; // without the cells of this header
    if (columns === undefined) return undefined;
    return super.table(firstLines(text, Math.max(MAX_CELLS / columns, 2)));
  }

  override blockquote(text: string): Tokens.Blockquote | undefined {
    return super.blockquote(firstLines(text, MAX_QUOTE_LINES));
  }

  override lheading(text: string): Tokens.Heading | undefined {
    const lines = firstLines(text, MAX_HEADING_LINES);
    const end = formulaLine(lines); // a minus in a formula underlines nothing
    return super.lheading(end < 0 ? lines : lines.slice(0, end));
  }
}

function firstLines(text: string, count: number): string {
  return text.split('\n', count).join('\n');
}

/** Splits inline text into pieces that marked can parse in bounded time. */
function* inlinePieces(text: string): Generator<string> {
  let start = 0;
  let delimiters = 0;
  for (let index = 0; index < text.length; index++) {
    if (DELIMITERS.includes(text.charAt(index))) delimiters++;
    if (delimiters === MAX_DELIMITERS || index - start === MAX_PIECE_LENGTH) {
      yield text.slice(start, index);
      start = index;
      delimiters = 0;
    }
  }
  yield text.slice(start);
}
