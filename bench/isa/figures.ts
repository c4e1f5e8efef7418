import { parseAmd } from './amd.ts';
import { parseIntel } from './intel.ts';
import type { Instruction, InstructionKind, Loop, MachineCode } from './machine-code.ts';
import { parseNvidia } from './nvidia.ts';

/** What `layer.c` writes down of one pipeline: a line of JSON. */
export interface PipelineRecord {
  /** {@link PipelineLabel}, as JSON. */
  readonly name: string;
  readonly device: string;
  readonly workgroup: readonly number[];
  readonly executables: readonly {
    readonly subgroupSize: number;
    readonly statistics: Readonly<Record<string, number>>;
    /** The driver's texts by their names: intermediate code, machine code. */
    readonly texts: Readonly<Record<string, string>>;
  }[];
}

/** What the compiling process calls a pipeline. */
export interface PipelineLabel {
  /** As in `linear/out`. */
  readonly pipeline: string;
  /** The names of its bindings, by number. */
  readonly names: Readonly<Record<string, string>>;
}

/** Numbers of one iteration of a loop; blocks of inner loops are counted once in the outer one. */
export interface LoopFigures extends Pick<Loop, 'depth' | 'isInnermost'> {
  readonly counts: ReadonlyMap<InstructionKind, number>;
  readonly instructions: number;
  readonly fma: number;
  readonly convert: number;
  readonly slow: number;
  /** Cycles that a wave keeps its SIMD's vector unit, on AMD. */
  readonly cycles?: number;
  /** The sum of static stalls, on NVIDIA. */
  readonly delay?: number;
  /** `weights 16B`, `4x x 16B`, in order of first appearance. */
  readonly loads: readonly string[];
  /** Bytes of weights that a lane loads. */
  readonly weightBytes: number;
  /** The most bytes that a lane waits for at a time, for each binding of weights that it loads. */
  readonly inFlight: ReadonlyMap<string, number>;
  /** Vector instructions per 16 bytes of weights; `undefined` without weights. */
  readonly vectorPer16?: number;
}

/** Numbers of one pipeline on one GPU. */
export interface PipelineFigures {
  readonly pipeline: string;
  readonly device: string;
  readonly threads: number;
  readonly subgroup: number;
  /** The compiler's own statistics and ours, by name, for the table of pipelines. */
  readonly statistics: Readonly<Record<string, number>>;
  /** Registers (AMD, Intel: spills and fills) or bytes per lane (NVIDIA) in memory. */
  readonly spills: number;
  /** Waves that fit on a SIMD (AMD) or a scheduler (NVIDIA). */
  readonly waves?: number;
  /** Of the loop that loads most weights. */
  readonly vectorPer16?: number;
  /** The least over all bindings of weights, each in its best loop. */
  readonly weightsInFlight?: number;
  readonly loops: readonly LoopFigures[];
  /** The disassembly. */
  readonly assembly: string;
  /** Mesa's intermediate code. */
  readonly nir: string;
}

/** Bindings that hold what must be read from memory: weights, and the keys and values of attention. */
const WEIGHTS = ['weights', 'keys', 'values'];

/** Reads the figures of a pipeline from its record. */
export function pipelineFigures(record: PipelineRecord): PipelineFigures {
  const { pipeline, names }: PipelineLabel = JSON.parse(record.name);
  const { subgroupSize, statistics, texts } = record
    .executables[0] as PipelineRecord['executables'][number];
  const { Assembly: amd, 'GEN Assembly': intel, 'NAK assembly': nvidia } = texts;
  const nir = texts['Final NIR'] ?? texts['NIR Shader(s)'] ?? '';
  const byNumber = new Map(Object.entries(names).map(([number, name]) => [Number(number), name]));
  const threads = record.workgroup.reduce((product, size) => product * size, 1);
  const vendor =
    amd !== undefined
      ? amdFigures(parseAmd(amd, byNumber), statistics, subgroupSize, isRdna(record.device))
      : intel !== undefined
        ? intelFigures(parseIntel(intel, nir, byNumber), statistics)
        : nvidiaFigures(parseNvidia(nvidia ?? '', byNumber), statistics);
  return {
    pipeline,
    device: record.device,
    threads,
    subgroup: subgroupSize,
    ...vendor,
    ...weightFigures(vendor.loops),
    assembly: amd ?? intel ?? nvidia ?? '',
    nir,
  };
}

type VendorFigures = Pick<PipelineFigures, 'statistics' | 'spills' | 'waves' | 'loops'>;
type Statistics = Readonly<Record<string, number>>;

function isRdna(device: string): boolean {
  return !/VEGA|POLARIS|RAVEN|RENOIR|ARCTURUS|ALDEBARAN|GFX9|FIJI|TONGA|HAWAII/.test(device);
}

function amdFigures(
  parsed: MachineCode,
  statistics: Statistics,
  subgroup: number,
  isRdna: boolean,
): VendorFigures {
  const of = (name: string): number => statistics[name] ?? 0;
  const passes = isRdna ? subgroup / 32 : 4;
  return {
    spills: of('Spilled VGPRs') + of('Spilled SGPRs'),
    waves: of('Subgroups per SIMD') / (isRdna ? subgroup / 32 : 1),
    statistics: {
      vgprs: of('VGPRs'),
      sgprs: of('Pre-Sched SGPRs'),
      scratch: of('Scratch size'),
      shared: of('LDS size'),
      instructions: of('Instructions'),
      vector: of('VALU'),
      scalar: of('SALU'),
      dual: of('VOPD'),
      branches: of('Branches'),
      latency: of('Latency'),
      throughput: of('Inverse Throughput'),
      codeBytes: of('Code size'),
    },
    loops: loopFigures(parsed, (vector, slow) => ({ cycles: passes * (vector + 3 * slow) })),
  };
}

function intelFigures(parsed: MachineCode, statistics: Statistics): VendorFigures {
  const of = (name: string): number => statistics[name] ?? 0;
  return {
    spills: of('Spill Count') + of('Fill Count'),
    statistics: {
      liveRegisters: of('Max live registers'),
      scratch: of('Scratch Memory Size'),
      shared: of('Workgroup Memory Size'),
      instructions: of('Instruction Count'),
      sends: of('SEND Count'),
      cycles: of('Cycle Count'),
    },
    loops: loopFigures(parsed),
  };
}

function nvidiaFigures(parsed: MachineCode, statistics: Statistics): VendorFigures {
  const of = (name: string): number => statistics[name] ?? 0;
  const allocated = Math.ceil(of('Number of GPRs') / 8) * 8;
  return {
    spills: of('SLM Size'),
    waves: Math.min(12, Math.floor(512 / allocated)),
    statistics: {
      registers: of('Number of GPRs'),
      instructions: of('Instruction count'),
      codeBytes: of('Code Size'),
    },
    loops: loopFigures(parsed, (_, __, code) => ({
      delay: code.reduce((sum, { delay = 0 }) => sum + delay, 0),
    })),
  };
}

function loopFigures(
  { loops, code }: MachineCode,
  extra: (
    vector: number,
    slow: number,
    code: readonly Instruction[],
  ) => Pick<LoopFigures, 'cycles' | 'delay'> = () => ({}),
): LoopFigures[] {
  // Code without a loop over weights counts as one: the compiler may have unrolled it.
  const hasWeights = loops.some((loop) => loop.code.some(isWeightLoad));
  const whole: Loop = { depth: 0, isInnermost: true, code };
  const all = hasWeights || !code.some(isWeightLoad) ? loops : [whole, ...loops];
  return all.map((loop) => {
    const counts = new Map<InstructionKind, number>();
    for (const { kind } of loop.code) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const count = (has: (instruction: Instruction) => boolean | undefined): number =>
      loop.code.filter((instruction) => has(instruction) === true).length;
    const vector = counts.get('vector') ?? 0;
    const slow = count(({ isSlow }) => isSlow);
    const weightLoads = loop.code.filter(isWeightLoad);
    const weightBytes = weightLoads.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
    const bindings = new Set(weightLoads.map(({ from = '' }) => from));
    return {
      depth: loop.depth,
      isInnermost: loop.isInnermost,
      counts,
      instructions: loop.code.length,
      fma: count(({ isFma }) => isFma),
      convert: count(({ isConvert }) => isConvert),
      slow,
      ...extra(vector, slow, loop.code),
      loads: loadsOf(loop.code),
      weightBytes,
      inFlight: new Map([...bindings].map((name) => [name, bytesInFlight(loop.code, name)])),
      ...(weightBytes > 0 && { vectorPer16: (16 * vector) / weightBytes }),
    };
  });
}

function isWeightLoad({ kind, from = '' }: Instruction): boolean {
  return kind === 'load' && WEIGHTS.includes(from);
}

/**
 * The most bytes of one binding that a lane has asked for and not waited for, in the second of two iterations: loads of
 * the next iteration count if the compiler or the kernel moves them ahead.
 */
export function bytesInFlight(code: readonly Instruction[], binding: string): number {
  let outstanding: Instruction[] = [];
  let most = 0;
  for (let iteration = 0; iteration < 2; iteration++) {
    for (const instruction of code) {
      const { awaits, kind } = instruction;
      if (awaits === 'all') outstanding = [];
      else if (awaits && 'newest' in awaits) {
        outstanding = awaits.newest === 0 ? [] : outstanding.slice(-awaits.newest);
      } else if (awaits) {
        outstanding = outstanding.filter(({ token = '' }) => !awaits.tokens.includes(token));
      }
      if (kind !== 'load') continue;
      outstanding.push(instruction);
      const bytes = outstanding.reduce(
        (sum, load) => sum + (load.from === binding ? (load.bytes ?? 0) : 0),
        0,
      );
      if (iteration === 1) most = Math.max(most, bytes);
    }
  }
  return most;
}

function loadsOf(code: readonly Instruction[]): string[] {
  const counts = new Map<string, number>();
  for (const { kind, from, bytes } of code) {
    const spills = kind === 'store' && from === 'scratch';
    if (kind !== 'load' && !spills) continue;
    const what = spills ? 'scratch store' : `${from} ${bytes}B`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts].map(([what, count]) => (count > 1 ? `${count}x ${what}` : what));
}

/** The figures that limits speak of. */
function weightFigures(
  loops: readonly LoopFigures[],
): Pick<PipelineFigures, 'vectorPer16' | 'weightsInFlight'> {
  const [heaviest] = [...loops].sort((a, b) => b.weightBytes - a.weightBytes || b.depth - a.depth);
  if (heaviest?.vectorPer16 === undefined) return {};
  const best = new Map<string, number>();
  for (const { inFlight } of loops) {
    for (const [name, bytes] of inFlight) best.set(name, Math.max(bytes, best.get(name) ?? 0));
  }
  return { vectorPer16: heaviest.vectorPer16, weightsInFlight: Math.min(...best.values()) };
}
