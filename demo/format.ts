const numbers = new Intl.NumberFormat('en');

/** A whole number with thousands separators. */
export function formatCount(value: number): string {
  return numbers.format(Math.round(value));
}

/** Bytes in decimal units with three significant digits, as downloads are counted: `13.8 GB`. */
export function formatBytes(bytes: number): string {
  const { value, unit } = scale(bytes);
  return `${value.toFixed(unit === 'B' ? 0 : digitsOf(value))} ${unit}`;
}

/** A part and the whole, in the same unit: `4.2 of 13.8 GB`. */
export function formatBytesOf(part: number, whole: number): string {
  const { value, unit } = scale(whole);
  const digits = unit === 'B' ? 0 : digitsOf(value);
  const share = whole > 0 ? (value * part) / whole : 0;
  return `${share.toFixed(digits)} of ${value.toFixed(digits)} ${unit}`;
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

const ago = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** How long ago a moment was: `just now`, `5 minutes ago`, `yesterday`. */
export function formatAgo(moment: number, now: number = Date.now()): string {
  const seconds = Math.max(0, (now - moment) / 1000);
  if (seconds < 60) return 'just now';
  if (seconds < 3600) return ago.format(-Math.floor(seconds / 60), 'minute');
  if (seconds < 86400) return ago.format(-Math.floor(seconds / 3600), 'hour');
  return ago.format(-Math.floor(seconds / 86400), 'day');
}

/** A duration: `0.4 s`, `12 s`, `3 min 5 s`, `1 h 20 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** A token rate: `3.4 tokens/s`, `52 tokens/s`. */
export function formatTokensPerSecond(rate: number): string {
  return `${rate < 9.95 ? rate.toFixed(1) : Math.round(rate)} tokens/s`;
}

/** A parameter count in words: `3.0 million`, `20.9 billion`. */
export function formatParameters(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)} billion`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} million`;
  return formatCount(count);
}

/** The local date as YYYY-MM-DD. */
export function isoDate(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
