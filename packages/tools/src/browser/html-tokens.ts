/** A piece of HTML. Names are in lower case. */
export type HtmlToken =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'open'; readonly name: string; readonly attributes: string }
  | { readonly type: 'close'; readonly name: string };

/** Elements whose content is text up to their end tag. */
const RAW = new Set(['script', 'style', 'title', 'textarea', 'iframe', 'noscript', 'xmp']);

/**
 * Cuts HTML into tags and text, in time proportional to its length whatever it is: a browser's own parser takes minutes
 * for 100,000 elements within each other. A `>` in the value of an attribute ends the tag.
 */
export function* htmlTokens(html: string): Generator<HtmlToken> {
  let at = 0;
  while (at < html.length) {
    const start = html.indexOf('<', at);
    const end = start < 0 ? html.length : start;
    if (end > at) yield { type: 'text', text: decodeEntities(html.slice(at, end)) };
    if (start < 0) return;
    if (html.startsWith('<!--', start)) {
      at = after(html, '-->', start + 4);
      continue;
    }
    const [, slash, tag = ''] =
      /^<(\/?)([a-z][^\s/>]*)|/i.exec(html.slice(start, start + 64)) ?? [];
    const name = tag.toLowerCase();
    if (name === '' && !/[!?/]/.test(html[start + 1] ?? '')) {
      yield { type: 'text', text: '<' };
      at = start + 1;
      continue;
    }
    at = after(html, '>', start);
    if (name === '') continue;
    if (slash === '/') yield { type: 'close', name };
    else yield { type: 'open', name, attributes: html.slice(start + 1 + name.length, at - 1) };
    if (slash !== '' || !RAW.has(name)) continue;
    const close = new RegExp(`</${name}`, 'gi');
    close.lastIndex = at;
    const found = close.exec(html)?.index ?? html.length;
    yield { type: 'text', text: decodeEntities(html.slice(at, found)) };
    at = found;
  }
}

/** The value of an attribute; `undefined` if there is none. */
export function attributeOf(attributes: string, name: string): string | undefined {
  const pattern = new RegExp(
    `\\s${name}\\s{0,9}=\\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`,
    'i',
  );
  const [, double, single, bare] = pattern.exec(attributes) ?? [];
  const value = double ?? single ?? bare;
  return value === undefined ? undefined : decodeEntities(value);
}

/** Where a text has ended that begins at or after a place. */
function after(html: string, text: string, from: number): number {
  const index = html.indexOf(text, from);
  return index < 0 ? html.length : index + text.length;
}

/** The common named characters; letters with accents are composed. */
const CHARACTERS: Readonly<Record<string, string>> = Object.fromEntries(
  (
    'amp& lt< gt> quot" apos\' copy© reg® trade™ hellip… mdash— ndash– lsquo‘ rsquo’ sbquo‚ ldquo“ rdquo” bdquo„ laquo« ' +
    'raquo» lsaquo‹ rsaquo› bull• middot· times× divide÷ minus− plusmn± deg° micro\u00b5 para¶ sect§ euro€ pound£ yen¥ cent¢ ' +
    'frac12½ frac14¼ frac34¾ larr← uarr↑ rarr→ darr↓ harr↔ infin∞ ne≠ le≤ ge≥ asymp≈ sum∑ radic√ permil‰ dagger† prime′ ' +
    'iexcl¡ iquest¿ szligß oslashø Oslash\u00d8 aeligæ AEligÆ oeligœ OEligŒ ordfª ordmº alphaα betaβ gammaγ deltaδ DeltaΔ epsilonε ' +
    'lambdaλ muμ piπ rhoρ sigmaσ tauτ phiφ omegaω OmegaΩ'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, -1), entry.slice(-1)]),
);

const ACCENTS: Readonly<Record<string, string>> = {
  grave: '\u0300',
  acute: '\u0301',
  circ: '\u0302',
  tilde: '\u0303',
  uml: '\u0308',
  ring: '\u030a',
  caron: '\u030c',
  cedil: '\u0327',
};

function decodeEntities(text: string): string {
  return text.replace(/&(#\d{1,7}|#x[\da-f]{1,6}|[a-z]\w{1,15});?/gi, (mark, name: string) => {
    if (name.startsWith('#')) {
      const code = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
      return code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
    }
    if (/^(nbsp|ensp|emsp|thinsp)$/.test(name)) return ' ';
    if (/^(shy|zwj|zwnj)$/.test(name)) return '';
    const accent = ACCENTS[name.slice(1)];
    if (accent !== undefined) return (name.slice(0, 1) + accent).normalize('NFC');
    return CHARACTERS[name] ?? mark;
  });
}
