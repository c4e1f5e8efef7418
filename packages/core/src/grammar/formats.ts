import { parsePattern } from './parse-pattern.ts';
import type { Regex } from './regex.ts';

const DATE =
  '(\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))' +
  '|(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)';
const TIME = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)';
const LABEL = '[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const BYTE = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const GROUP = '[0-9a-fA-F]{1,4}';
const UUID = '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}';
const UNITS = '(\\d{1,9}D(T(\\d{1,9}H)?(\\d{1,9}M)?\\d{1,9}S)?|T\\d{1,9}[HMS]|\\d{1,9}[YMW])';

/** Formats of JSON Schema that are enforced; most have a simpler form here than their standard allows. */
const PATTERNS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  'date-time': `${DATE}T${TIME}`,
  duration: `P${UNITS}`,
  email: `[a-zA-Z0-9_+-]{1,32}(\\.[a-zA-Z0-9_+-]{1,16}){0,2}@${LABEL}(\\.${LABEL}){1,3}`,
  hostname: `${LABEL}(\\.${LABEL}){0,3}`,
  ipv4: `${BYTE}(\\.${BYTE}){3}`,
  ipv6: `(${GROUP}:){7}${GROUP}|(${GROUP}:){1,6}:${GROUP}|::(${GROUP})?`,
  uuid: UUID,
  uri: "https?://[a-zA-Z0-9.-]{1,253}(:\\d{1,5})?(/[a-zA-Z0-9._~!$&'()*+,;=:@-]{0,64}){0,16}(\\?[a-zA-Z0-9._~!$&'()*+,;=:@/?-]{0,256})?",
};

/** The strings of a format; `undefined` if the format is not enforced. */
export function formatPattern(format: string): Regex | undefined {
  const pattern = Object.hasOwn(PATTERNS, format) ? PATTERNS[format] : undefined;
  return pattern === undefined ? undefined : parsePattern(`^(${pattern})$`);
}
