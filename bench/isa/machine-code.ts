/** What an instruction does, as far as its cost is concerned. */
export type InstructionKind =
  | 'vector'
  | 'scalar'
  | 'load'
  | 'store'
  | 'shared'
  | 'constant'
  | 'wait'
  | 'branch'
  | 'other';

/** Which loads an instruction waits for: all but the newest few, those with a token, or all. */
export type LoadWait = { readonly newest: number } | { readonly tokens: readonly string[] } | 'all';

/** One machine instruction. */
export interface Instruction {
  readonly op: string;
  kind: InstructionKind;
  /** Bytes that a load gives each lane. */
  bytes?: number;
  /** The binding that a load reads, `scratch` for spilled registers, or `?`. */
  from?: string;
  /** What an instruction that needs the load's result names. */
  token?: string;
  /** Loads that must have arrived before it. */
  awaits?: LoadWait;
  isFma?: boolean;
  isConvert?: boolean;
  /** At a quarter of the usual rate, or less. */
  isSlow?: boolean;
  /** Static stall cycles, where the compiler writes them down. */
  delay?: number;
}

/** A natural loop. */
export interface Loop {
  /** Loops around it. */
  readonly depth: number;
  readonly isInnermost: boolean;
  readonly code: readonly Instruction[];
}

/** A parsed disassembly. */
export interface MachineCode {
  readonly code: readonly Instruction[];
  /** In order of code, outer ones first. */
  readonly loops: readonly Loop[];
}

interface Block {
  readonly code: Instruction[];
  next: readonly string[];
  falls: boolean;
}

/** Basic blocks, and where each may go on. A parser calls `label` at labels and `branch` after branches. */
export class CodeGraph implements MachineCode {
  readonly #blocks: Block[] = [{ code: [], next: [], falls: true }];
  readonly #labels = new Map<string, number>();

  get code(): readonly Instruction[] {
    return this.#blocks.flatMap(({ code }) => code);
  }

  /** Adds an instruction to the current block. */
  add(instruction: Instruction): void {
    this.#current.code.push(instruction);
  }

  /** Begins a block with a label. */
  label(name: string): void {
    if (this.#current.code.length > 0) this.#split();
    this.#labels.set(name, this.#blocks.length - 1);
  }

  /** Ends the current block with a branch. `falls`: it may also go on with the next one. */
  branch(targets: readonly string[], falls: boolean): void {
    Object.assign(this.#current, { next: targets, falls });
    this.#split();
  }

  get loops(): readonly Loop[] {
    const next = this.#blocks.map(({ next, falls }, i) => [
      ...next.flatMap((label) => this.#labels.get(label) ?? []),
      ...(falls && i + 1 < this.#blocks.length ? [i + 1] : []),
    ]);
    const before = this.#blocks.map((): number[] => []);
    for (const [from, targets] of next.entries()) {
      for (const to of targets) (before[to] as number[]).push(from);
    }
    const dominators = dominatorsOf(before);
    const bodies = new Map<number, Set<number>>();
    for (const [from, targets] of next.entries()) {
      for (const head of targets) {
        const isReachable = from === 0 || (before[from] as number[]).length > 0;
        if (!isReachable || !dominators[from]?.has(head)) continue;
        const body = bodies.get(head) ?? new Set([head]);
        const open = [from];
        for (let at = open.pop(); at !== undefined; at = open.pop()) {
          if (body.has(at)) continue;
          body.add(at);
          open.push(...(before[at] as number[]));
        }
        bodies.set(head, body);
      }
    }
    const sorted = [...bodies].sort(([a], [b]) => a - b);
    return sorted.map(([head, body]) => ({
      depth: sorted.filter(([other, outer]) => other !== head && outer.has(head)).length,
      isInnermost: !sorted.some(([other]) => other !== head && body.has(other)),
      code: [...body].sort((a, b) => a - b).flatMap((at) => (this.#blocks[at] as Block).code),
    }));
  }

  get #current(): Block {
    return this.#blocks.at(-1) as Block;
  }

  #split(): void {
    this.#blocks.push({ code: [], next: [], falls: true });
  }
}

/** For each block, the blocks that every path to it passes. @param before - The predecessors of each block. */
function dominatorsOf(before: readonly (readonly number[])[]): ReadonlySet<number>[] {
  const all = new Set(before.keys());
  const dominators = before.map((_, i) => (i === 0 ? new Set([0]) : all));
  for (let isChanging = true; isChanging; ) {
    isChanging = false;
    for (let i = 1; i < before.length; i++) {
      const [first, ...rest] = (before[i] as readonly number[]).map((b) => dominators[b]);
      if (!first) continue;
      const common = [...first].filter((block) => rest.every((other) => other?.has(block)));
      const mine = new Set([...common, i]);
      if (mine.size === dominators[i]?.size) continue;
      dominators[i] = mine;
      isChanging = true;
    }
  }
  return dominators;
}
