import { CodeGraph, type Instruction, type LoadWait, type MachineCode } from './machine-code.ts';

const SLOW = /^v_(exp|log|rcp|rsq|sqrt|sin|cos)_f|^v_mul_(lo|hi)_[ui]32|_f64/;

/**
 * Parses what RADV prints: blocks `BB3:`, one instruction in each line.
 *
 * @param bindings - Names by binding number.
 */
export function parseAmd(text: string, bindings: ReadonlyMap<number, string>): MachineCode {
  const graph = new CodeGraph();
  const descriptors = new Map<string, string>(); // first scalar register → binding
  for (const line of text.split('\n')) {
    const label = /^(BB\d+):/.exec(line)?.[1];
    if (label !== undefined) graph.label(label);
    const [, op, rest = ''] = /^\s+([a-z]\w+)\s*(.*?)\s*(?:;.*)?$/.exec(line) ?? [];
    if (op === undefined) continue;
    if (op === 's_code_end') break;
    // A descriptor is loaded from its place in the descriptor set.
    const [, register, offset = ''] = /^s_load_(?:b128|dwordx4)$/.test(op)
      ? (/^s\[(\d+):\d+\], s\[\d+:\d+\], (0x[\da-f]+|null|\d+)/.exec(rest) ?? [])
      : [];
    if (register !== undefined) {
      const binding = offset === 'null' ? 0 : Number(offset) / 16;
      descriptors.set(register, bindings.get(binding) ?? '?');
    }
    const instruction = parseInstruction(op, rest);
    const set = /s\[(\d+):\d+\]/.exec(rest)?.[1] ?? '';
    if (instruction.kind === 'load') {
      instruction.from = op.startsWith('scratch') ? 'scratch' : (descriptors.get(set) ?? '?');
      instruction.bytes = loadBytes(op);
    }
    graph.add(instruction);
    if (op === 's_endpgm') graph.branch([], false);
    else if (instruction.kind === 'branch') {
      graph.branch(/BB\d+/.exec(rest) ?? [], op !== 's_branch');
    }
  }
  return graph;
}

function parseInstruction(op: string, rest: string): Instruction {
  if (/^s_(load|buffer_load)/.test(op)) return { op, kind: 'constant' };
  if (/^s_(wait|delay_alu|nop|clause|inst_prefetch|barrier|sendmsg|set_inst)/.test(op)) {
    const awaits = loadWait(op, rest);
    return { op, kind: 'wait', ...(awaits && { awaits }) };
  }
  if (/^s_c?branch/.test(op)) return { op, kind: 'branch' };
  if (op.startsWith('s_')) return { op, kind: 'scalar' };
  if (op.startsWith('v_')) {
    return {
      op,
      kind: 'vector',
      isSlow: SLOW.test(op),
      isFma: /^v_(dual_)?(fma|mad|mac|dot)|^v_pk_fma/.test(op),
      isConvert: op.startsWith('v_cvt'),
    };
  }
  if (op.startsWith('ds_')) return { op, kind: 'shared' };
  if (!/^(buffer|global|flat|scratch)_/.test(op)) return { op, kind: 'other' };
  return { op, kind: /store|atomic/.test(op) ? 'store' : 'load' };
}

/** Loads arrive in order: a wait names how many may still be on their way. */
function loadWait(op: string, rest: string): LoadWait | undefined {
  const vmcnt = /vmcnt\((\d+)\)/.exec(rest)?.[1];
  if (vmcnt !== undefined) return { newest: Number(vmcnt) };
  if (op === 's_wait_loadcnt') return { newest: Number.parseInt(rest, 16) };
  if (op === 's_wait_loadcnt_dscnt') return { newest: Number.parseInt(rest, 16) >> 8 };
  return undefined;
}

function loadBytes(op: string): number {
  const [, bits] = /_b(\d+)$/.exec(op) ?? [];
  if (bits !== undefined) return Number(bits) / 8;
  const [isDwords, count = '1'] = /_dword(?:x(\d))?$/.exec(op) ?? [];
  if (isDwords !== undefined) return 4 * Number(count);
  return /byte|[ui]8/.test(op) ? 1 : 2;
}
