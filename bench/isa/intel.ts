import type { Instruction, LoadWait, Loop, MachineCode } from './machine-code.ts';

/** As in `@resource_intel (%2, %3 (0x6), …) (desc_set=0, binding=5, …)`. */
const TABLE_ENTRY = /@resource_intel \(%\d+ \(\w+\), %\d+ \((0x[\da-f]+)\).*\bbinding=(\d+)/g;

type Range = readonly [begin: number, end: number];

/**
 * Parses what ANV prints: `LABEL3:` and a backward `while`; what is between is the loop.
 *
 * @param nir - Intermediate code, which says which binding an entry of the driver's table stands for.
 * @param bindings - Names by binding number.
 */
export function parseIntel(
  text: string,
  nir: string,
  bindings: ReadonlyMap<number, string>,
): MachineCode {
  const entries = new Map<number, string>();
  for (const [, entry, binding] of nir.matchAll(TABLE_ENTRY)) {
    entries.set(Number(entry), bindings.get(Number(binding)) ?? '?');
  }
  const code: Instruction[] = [];
  const labels = new Map<string, number>();
  const ranges: Range[] = [];
  for (const line of text.split('\n')) {
    const label = /^(LABEL\d+):/.exec(line)?.[1];
    if (label !== undefined) labels.set(label, code.length);
    const last = code.at(-1);
    const message = /^\s+(\w+) MsgDesc: \(\s*(\w+),?(.*)/.exec(line);
    if (message && last) {
      const [, unit = '', what = '', rest = ''] = message;
      addMessage(last, unit, what, rest, entries);
      continue;
    }
    const [, op, lanes] =
      /^(?:\([^)]*\)\s*)?((?:sync )?[a-z]\w*(?:\.\w+)*)\((\d+)\)/.exec(line) ?? [];
    if (op === undefined) continue;
    if (op.startsWith('while')) {
      const begin = labels.get(/JIP:\s+(LABEL\d+)/.exec(line)?.[1] ?? '');
      if (begin !== undefined) ranges.push([begin, code.length]);
    }
    code.push(parseInstruction(op, Number(lanes), line));
  }
  return { code, loops: loopsOf(ranges, code) };
}

function parseInstruction(op: string, lanes: number, line: string): Instruction {
  const tokens = [...line.matchAll(/(\$\d+)\.dst/g)].map(([, token]) => token as string);
  const awaits: LoadWait = line.startsWith('sync allwr') ? 'all' : { tokens };
  const common = { op, awaits };
  if (op.startsWith('sync')) return { ...common, kind: 'wait' };
  if (/^(if|else|endif|break|cont|while|halt|jmpi|brd|brc|call|ret)/.test(op)) {
    return { ...common, kind: 'branch' };
  }
  if (op.startsWith('send')) return { ...common, kind: 'other' };
  return {
    ...common,
    kind: lanes === 1 ? 'scalar' : 'vector',
    isFma: /^(mad|mac|dp4a|dpas)/.test(op),
    isSlow: op.startsWith('math'),
    isConvert: op.startsWith('mov') && /<\d>F\s.*[>\d]U?[DWB]\s|<\d>U?D\s.*>U?B\s/.test(line),
  };
}

/** Completes a `send` by the line after it, which says what it sends. */
function addMessage(
  send: Instruction,
  unit: string,
  what: string,
  rest: string,
  entries: ReadonlyMap<number, string>,
): void {
  if (/fence|barrier/.test(what + rest)) send.kind = 'wait';
  else if (unit === 'slm') send.kind = 'shared';
  else if (what.startsWith('store')) send.kind = 'store';
  else if (what === 'load') send.kind = rest.includes('transpose') ? 'constant' : 'load';
  else send.kind = 'other';
  if (send.kind !== 'load') return;
  const bits = Number(/\bd(8|16)u32/.exec(rest)?.[1] ?? 32);
  send.bytes = Number(/\bV(\d+)/.exec(rest)?.[1] ?? 1) * (bits / 8);
  const entry = Number(/BTI (\d+)/.exec(rest)?.[1] ?? -1);
  send.from = /scratch|\bss\b/.test(rest) || entry >= 250 ? 'scratch' : (entries.get(entry) ?? '?');
  const token = /[{\s](\$\d+)\s*\}/.exec(rest)?.[1];
  if (token === undefined) return;
  send.token = token;
  send.awaits = { tokens: [token] }; // a token stands for one load at a time
}

function loopsOf(ranges: readonly Range[], code: readonly Instruction[]): Loop[] {
  const sorted = [...ranges].sort(([a], [b]) => a - b);
  const contains = (outer: Range, inner: Range): boolean =>
    outer !== inner && outer[0] <= inner[0] && inner[1] <= outer[1];
  return sorted.map((range) => ({
    depth: sorted.filter((other) => contains(other, range)).length,
    isInnermost: !sorted.some((other) => contains(range, other)),
    code: code.slice(range[0], range[1] + 1),
  }));
}
