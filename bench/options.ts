import { parseArgs } from 'node:util';
import type { KvCacheFormat } from '../packages/core/src/types/load.ts';
import { PRESETS } from '../packages/core/test/config.ts';
import type { StageName } from './stages/stage.ts';

/** Help on the command line. */
export const USAGE: string = `Measures speed: a checkpoint end to end, and the kernels of its forward pass.

  npm run bench -- [options]
  npm run bench -- download [options]   (see its own --help)

  --config NAME|FOLDER   ${Object.keys(PRESETS).join(', ')}, or a checkpoint's folder; default: nano
  --runtime R            chrome, node or both; default: chrome
  --end-to-end           load, prefill and decode only
  --kernels              kernels only; needs no checkpoint on disk
  --upload               from stored bytes to the GPU, without kernels, only; needs no checkpoint on disk
  --dense F              int8 or bf16; default: int8
  --kv-cache F           int8, f16 or f32; default: f16 with int8, f32 with bf16
  --context N            positions of the KV cache; default: 8192, or what the model or the lengths below require
  --chunk N              tokens of a prefill pass, and of the kernels for many tokens; default: 512
  --prompt N,N           lengths to prefill; default: 128,512
  --depth N,N            tokens before those that are decoded; default: 128
  --decode N             tokens to decode; default: 64
  --temperature T        to sample at; default: 1
  --repeat N             rounds, after one that is not counted; default: 5
  --no-store             in Chrome, do not load through the browser's store
  --compare K=A,B        two values of dense, kv-cache, context or chunk, measured in turn
  --against FOLDER       this checkout (A) and another (B), measured in turn
  --software             Chrome on SwiftShader even if there is a GPU
  --dawn-feature NAME    a Dawn toggle to turn on, in Node; may be repeated
  --dawn-flag KEY=VALUE  any other flag of the webgpu package, in Node; may be repeated
  --json FILE            append one line of JSON for each measurement`;

/** Options that may differ between the sides of a bench. */
export interface SideOptions {
  /** Format of dense weights on the GPU. */
  readonly dense: 'int8' | 'bf16';
  /** Format of keys and values; default: the engine's for `dense`. */
  readonly kvCache?: KvCacheFormat;
  /** Positions of the KV cache; default: see {@link USAGE}. */
  readonly context?: number;
  /** Tokens of one pass of a prefill. */
  readonly chunk: number;
}

/** The parsed command line. */
export interface BenchOptions {
  /** A preset's name, or a folder. */
  readonly config: string;
  readonly runtimes: readonly ('chrome' | 'node')[];
  readonly stages: readonly StageName[];
  /** One side; or A and B. */
  readonly sides: readonly SideOptions[];
  /** The checkout that B runs; default: this one. */
  readonly against?: string;
  readonly prompts: readonly number[];
  readonly depths: readonly number[];
  readonly decode: number;
  readonly temperature: number;
  readonly repeat: number;
  readonly store: boolean;
  readonly software: boolean;
  readonly dawnFeatures: readonly string[];
  readonly dawnFlags: readonly string[];
  /** The file that records are appended to. */
  readonly json?: string;
  /** The arguments as given, for the records. */
  readonly commandLine: string;
}

/** Parses the command line. @throws TypeError or RangeError on arguments that {@link USAGE} does not describe. */
export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: 'string', default: 'nano' },
      runtime: { type: 'string', default: 'chrome' },
      'end-to-end': { type: 'boolean', default: false },
      kernels: { type: 'boolean', default: false },
      upload: { type: 'boolean', default: false },
      dense: { type: 'string', default: 'int8' },
      'kv-cache': { type: 'string' },
      context: { type: 'string' },
      chunk: { type: 'string', default: '512' },
      prompt: { type: 'string', default: '128,512' },
      depth: { type: 'string', default: '128' },
      decode: { type: 'string', default: '64' },
      temperature: { type: 'string', default: '1' },
      repeat: { type: 'string', default: '5' },
      'no-store': { type: 'boolean', default: false },
      compare: { type: 'string' },
      against: { type: 'string' },
      software: { type: 'boolean', default: false },
      'dawn-feature': { type: 'string', multiple: true, default: [] },
      'dawn-flag': { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
    },
  });
  const { compare, against, json, 'kv-cache': kvCache, context } = values;
  if (compare !== undefined && against !== undefined) {
    throw new TypeError(
      '--compare and --against exclude each other: two sides are measured in turn',
    );
  }
  const repeat = count('--repeat', values.repeat);
  if ((compare !== undefined || against !== undefined) && repeat < 2) {
    throw new RangeError(
      '--repeat must be 2 or more if two sides are compared: one pair tells nothing',
    );
  }
  const side = parseSide({
    dense: values.dense,
    chunk: values.chunk,
    ...(kvCache !== undefined && { 'kv-cache': kvCache }),
    ...(context !== undefined && { context }),
  });
  const sides = compare === undefined ? [side] : parseComparison(compare, side);
  const chosen = (['end-to-end', 'kernels', 'upload'] as const).filter((stage) => values[stage]);
  const runtime = oneOf('--runtime', values.runtime, ['chrome', 'node', 'both']);
  return {
    config: values.config,
    runtimes: runtime === 'both' ? ['chrome', 'node'] : [runtime],
    stages: chosen.length > 0 ? chosen : ['end-to-end', 'kernels'],
    sides: against === undefined ? sides : [side, side],
    ...(against !== undefined && { against }),
    prompts: values.prompt.split(',').map((text) => count('--prompt', text)),
    depths: values.depth.split(',').map((text) => count('--depth', text)),
    decode: count('--decode', values.decode),
    temperature: parseTemperature(values.temperature),
    repeat,
    store: !values['no-store'],
    software: values.software,
    dawnFeatures: values['dawn-feature'],
    dawnFlags: values['dawn-flag'],
    ...(json !== undefined && { json }),
    commandLine: args.join(' '),
  };
}

const SIDE_KEYS = ['dense', 'kv-cache', 'context', 'chunk'] as const;

type SideValues = Partial<Record<(typeof SIDE_KEYS)[number], string>>;

function parseSide(values: SideValues): SideOptions {
  const { dense = '', 'kv-cache': kvCache, context, chunk = '' } = values;
  return {
    dense: oneOf('--dense', dense, ['int8', 'bf16']),
    chunk: count('--chunk', chunk),
    ...(kvCache !== undefined && { kvCache: oneOf('--kv-cache', kvCache, ['int8', 'f16', 'f32']) }),
    ...(context !== undefined && { context: count('--context', context) }),
  };
}

function parseComparison(text: string, side: SideOptions): SideOptions[] {
  const [key = '', list = ''] = text.split('=');
  const values = list.split(',');
  const known = SIDE_KEYS.find((each) => each === key);
  if (known === undefined || values.length !== 2) {
    throw new TypeError(
      `--compare ${text}: give one of ${SIDE_KEYS.join(', ')} two values, as in dense=int8,bf16`,
    );
  }
  const given: SideValues = {
    dense: side.dense,
    chunk: String(side.chunk),
    ...(side.kvCache && { 'kv-cache': side.kvCache }),
    ...(side.context && { context: String(side.context) }),
  };
  return values.map((value) => parseSide({ ...given, [known]: value }));
}

function oneOf<Name extends string>(option: string, value: string, names: readonly Name[]): Name {
  const name = names.find((each) => each === value);
  if (name === undefined) {
    throw new RangeError(`${option} must be ${names.join(' or ')}, not ${JSON.stringify(value)}`);
  }
  return name;
}

function parseTemperature(text: string): number {
  const value = Number(text);
  if (!(value >= 0))
    throw new RangeError(`--temperature must be 0 or more, not ${JSON.stringify(text)}`);
  return value;
}

/** Reads a number from the command line. @throws RangeError unless it is whole and above 0. */
export function count(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`${option} must be a whole number above 0, not ${JSON.stringify(text)}`);
  }
  return value;
}
