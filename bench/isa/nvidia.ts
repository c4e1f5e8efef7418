import { CodeGraph, type Instruction, type MachineCode } from './machine-code.ts';

/**
 * Parses what NAK prints: `block 4 L7 [3, 88] -> {` … `} -> [5, 6]`.
 *
 * @param bindings - Names by binding number.
 */
export function parseNvidia(text: string, bindings: ReadonlyMap<number, string>): MachineCode {
  const graph = new CodeGraph();
  const bases = new Map<string, string>(); // register → binding, from the address in the root table
  for (const line of text.split('\n')) {
    const block = /^block\S* (\d+)/.exec(line)?.[1];
    if (block !== undefined) graph.label(block);
    const end = /^\} -> \[([\d, ]*)\]/.exec(line)?.[1];
    if (end !== undefined) {
      const targets = end.split(',').map((target) => target.trim());
      graph.branch(targets.filter(Boolean), false);
    }
    const found =
      /^(?:@!?\w+)?\s+(?:[^=/]*?=\s)?\s*([a-z]\w*(?:\.[\w.]+)*)(.*?)\/\/ delay=(\d+)(.*)/.exec(
        line,
      );
    if (!found) continue;
    const [, op = '', rest = '', delay, flags = ''] = found;
    trackBase(bases, bindings, line, op, rest);
    const instruction = parseInstruction(op, flags);
    instruction.delay = Number(delay);
    if (instruction.kind === 'load') {
      const base = bases.get(/\[(r\d+)/.exec(rest)?.[1] ?? '');
      instruction.from = op.includes('local') ? 'scratch' : (base ?? '?');
      instruction.bytes = Number(/\.[bui](\d+)/.exec(op.replace('.a64', ''))?.[1] ?? 32) / 8;
      const token = /\bwr:(\d)/.exec(flags)?.[1];
      if (token !== undefined) instruction.token = token;
    }
    graph.add(instruction);
  }
  return graph;
}

/** Notes whether an instruction makes a register the address of a binding, or of something else. */
function trackBase(
  bases: Map<string, string>,
  bindings: ReadonlyMap<number, string>,
  line: string,
  op: string,
  rest: string,
): void {
  const written = /^\s*(?:@!?\w+)?\s*(r\d+)[^=]*=/.exec(line)?.[1];
  if (written === undefined) return;
  const isAddress = /^(iadd|mov|lea|imad)/.test(op);
  const offset = /c\[0x1\]\[0x([\da-f]+)\]/.exec(rest)?.[1];
  const binding = offset === undefined ? undefined : bindings.get(Number.parseInt(offset, 16) >> 4);
  const read = [...rest.matchAll(/\br\d+\b/g)].map(([register]) => bases.get(register));
  const base = isAddress ? (binding ?? read.find(Boolean)) : undefined;
  if (base === undefined) bases.delete(written);
  else bases.set(written, base);
}

function parseInstruction(op: string, flags: string): Instruction {
  const mask = /\bwt=([01]{6})/.exec(flags)?.[1] ?? '';
  const tokens = ['0', '1', '2', '3', '4', '5'].filter((bit) => mask[5 - Number(bit)] === '1');
  const common = { op, ...(tokens.length > 0 && { awaits: { tokens } }) };
  if (/^(ld|ldc|st)\b/.test(op)) {
    if (op.includes('shared')) return { ...common, kind: 'shared' };
    if (op.startsWith('ldc')) return { ...common, kind: 'constant' };
    return { ...common, kind: op.startsWith('st') ? 'store' : 'load' };
  }
  if (/^(bra|bssy|bsync|brk|exit|bclear|warpsync)/.test(op)) return { ...common, kind: 'branch' };
  if (/^(nop|bar|membar|depbar)/.test(op)) return { ...common, kind: 'wait' };
  return {
    ...common,
    kind: 'vector',
    isFma: /^(ffma|hfma2|idp|hmma|imma)/.test(op),
    isSlow: /^(mufu|i2f|f2i|f2f)/.test(op),
    isConvert: /^(i2f|f2i|f2f)/.test(op),
  };
}
