import { language, texts } from './language/texts.ts';

const numbers = new Intl.NumberFormat(language);

// A number and its unit stay on one line: a space between them is U+00A0.

/** A number with this many decimal places. */
const fixed = (value: number, digits: number): string =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** A whole number with thousands separators. */
export function formatCount(value: number): string {
  return numbers.format(Math.round(value));
}

/** A share in whole percents: `31%`. */
export function formatPercent(share: number): string {
  return share.toLocaleString(language, { style: 'percent' });
}

/** Bytes in decimal units with three significant digits, as downloads are counted: `13.8 GB`. */
export function formatBytes(bytes: number): string {
  const { value, unit } = scale(bytes);
  return `${fixed(value, unit === 'B' ? 0 : digitsOf(value))}\u00a0${unit}`;
}

/** A part and the whole, in the same unit: `4.2 of 13.8 GB`. */
export function formatBytesOf(part: number, whole: number): string {
  const { value, unit } = scale(whole);
  const digits = unit === 'B' ? 0 : digitsOf(value);
  const share = whole > 0 ? (value * part) / whole : 0;
  return texts.format.bytesOf(fixed(share, digits), `${fixed(value, digits)}\u00a0${unit}`);
}

function scale(bytes: number): { value: number; unit: string } {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return { value, unit: units[unit] ?? '' };
}

function digitsOf(value: number): number {
  if (value >= 99.95) return 0;
  return value >= 9.995 ? 1 : 2;
}

const ago = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });

/** How long ago a moment was: `just now`, `5 minutes ago`, `yesterday`. */
export function formatAgo(moment: number, now: number = Date.now()): string {
  const seconds = Math.max(0, (now - moment) / 1000);
  if (seconds < 60) return texts.format.justNow;
  if (seconds < 3600) return ago.format(-Math.floor(seconds / 60), 'minute');
  if (seconds < 86400) return ago.format(-Math.floor(seconds / 3600), 'hour');
  return ago.format(-Math.floor(seconds / 86400), 'day');
}

/** A duration: `0.4 s`, `12 s`, `3 min 5 s`, `1 h 20 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return texts.format.seconds(fixed(seconds, 1));
  const whole = Math.round(seconds);
  if (whole < 60) return texts.format.seconds(String(whole));
  if (whole < 3600) return texts.format.minutes(Math.floor(whole / 60), whole % 60);
  return texts.format.hours(Math.floor(whole / 3600), Math.floor((whole % 3600) / 60));
}

/** A token rate: `3.4 tokens/s`, `52 tokens/s`. */
export function formatTokensPerSecond(rate: number): string {
  return texts.format.perSecond(fixed(rate, rate < 9.95 ? 1 : 0));
}

const inWords = new Intl.NumberFormat(language, {
  ...{ notation: 'compact', compactDisplay: 'long' },
  ...{ minimumFractionDigits: 1, maximumFractionDigits: 1 },
});

/** A parameter count in the words of the language: `3.0 million`, `20.9 billion`. */
export function formatParameters(count: number): string {
  return count >= 1e6 ? inWords.format(count) : formatCount(count);
}

/** The local date as YYYY-MM-DD. */
export function isoDate(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
