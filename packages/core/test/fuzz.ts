// Inputs for tests that give a parser anything at all. `npm run fuzz` runs these tests with many inputs.
import { getHeapStatistics } from 'node:v8';
import fc from 'fast-check';

type Parser =
  | 'browser'
  | 'markdown'
  | 'gguf'
  | 'safetensors'
  | 'tokenizer.json'
  | 'config.json'
  | 'manifest'
  | 'choices'
  | 'ossicle.json'
  | 'http'
  | 'source'
  | 'load options'
  | 'options'
  | 'conversation'
  | 'tokens'
  | 'chats';

/** Parser → inputs in a plain test run, and its part of each 1,000 inputs of `npm run fuzz`. */
const INPUTS: Readonly<Record<Parser, readonly [runs: number, perMille: number]>> = {
  browser: [300, 10],
  markdown: [60, 5],
  gguf: [100_000, 120],
  safetensors: [100_000, 110],
  'tokenizer.json': [500, 60],
  'config.json': [3000, 120],
  manifest: [3000, 110],
  choices: [1000, 10],
  'ossicle.json': [2000, 100],
  http: [1000, 60],
  source: [2000, 60],
  'load options': [2000, 30],
  options: [3000, 100],
  conversation: [500, 50],
  tokens: [5000, 45],
  chats: [1000, 10],
};

/** Memory that one input may allocate, garbage included, in bytes. */
const MAX_INPUT_BYTES = 64 * 2 ** 20;

/** Where random inputs start: fixed, so that runs agree, unless OSSICLE_FUZZ_SEED says otherwise. */
export const FUZZ_SEED: number = Number(process.env.OSSICLE_FUZZ_SEED ?? 1);

/** How many inputs to give a parser: its part of OSSICLE_FUZZ_RUNS, the inputs of all parsers together, or a few. */
export function fuzzRuns(parser: Parser): number {
  const [runs, perMille] = INPUTS[parser];
  return Math.max(runs, Math.ceil((Number(process.env.OSSICLE_FUZZ_RUNS ?? 0) * perMille) / 1000));
}

/** Runs `check` on {@link fuzzRuns} inputs; the first that throws or allocates 64 MiB is shrunk and reported. */
export async function fuzz<T>(
  parser: Parser,
  inputs: fc.Arbitrary<T>,
  check: (input: T) => void | Promise<void>,
): Promise<void> {
  const property = fc.asyncProperty(inputs, async (input) => {
    const before = usedBytes();
    await check(input);
    const grown = usedBytes() - before;
    if (grown > MAX_INPUT_BYTES) throw new Error(`One input allocated ${grown} bytes.`);
  });
  await fc.assert(property, { numRuns: fuzzRuns(parser), seed: FUZZ_SEED });
}

function usedBytes(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

/** Arrays so deep that recursion over them ends the stack. */
const DEEP: unknown = Object.defineProperty(
  JSON.parse('['.repeat(20_000) + ']'.repeat(20_000)),
  fc.toStringMethod,
  { value: () => '/* 20,000 arrays in each other */' },
);

const shallowValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown[]>(
    ...[null, true, false, '', 'a', '__proto__', [], {}, [null], [[]], [{}]],
    ...[0, -0, -1, 1, 0.5, 2, 64, 1e6, 2 ** 31, 2 ** 32, 2 ** 53, 1e300],
    ...[{ toString: null, valueOf: null }, { length: 2 ** 32 }, 'x'.repeat(100_000)],
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

/** JSON values of a file, among them those that break careless code. */
export const jsonValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 20, arbitrary: shallowValue },
  fc.constant(DEEP),
);

/** Values that `postMessage` and IndexedDB carry. */
export const clonedValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: shallowValue },
  fc.constantFrom<unknown[]>(
    ...[undefined, Number.NaN, Infinity, -Infinity, 5n, new Date(Number.NaN), new Map(), /a/],
    ...[new Uint8Array(0), new Uint8Array([1, 0, 255]), new Float64Array(2), new Array(3)],
  ),
);

/** Any value of JavaScript. */
export const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: clonedValue },
  fc.constantFrom<unknown[]>(
    Symbol('s'),
    () => 1,
    Object.create(null),
    new Proxy({}, {}),
    globalThis,
  ),
);

/** Copies of a value in which up to four fields, at any depth, are replaced, added or removed. */
export function changed(value: unknown, replacement: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const edit = fc.record({
    path: fc.array(fc.nat(), { minLength: 1, maxLength: 5 }),
    kind: fc.constantFrom('replace', 'replace', 'replace', 'remove', 'add'),
    replacement,
  });
  return fc.array(edit, { maxLength: 4 }).map((edits) => {
    const root = { value };
    for (const { path, kind, replacement } of edits) {
      let place: Record<string, unknown> = root;
      let key = 'value';
      for (const step of path) {
        const inner = place[key];
        if (!isContainer(inner)) break;
        const keys = Object.keys(inner);
        if (keys.length === 0) break;
        // Values are shared between inputs.
        const own = (Array.isArray(inner) ? [...inner] : { ...inner }) as typeof inner;
        place[key] = own;
        place = own;
        key = keys[step % keys.length] as string;
      }
      if (kind === 'replace') place[key] = replacement;
      else if (kind === 'add') place[Array.isArray(place) ? place.length : `${key}_`] = replacement;
      else if (Array.isArray(place)) place.splice(Number(key), 1);
      else delete place[key];
    }
    return root.value;
  });
}

function isContainer(value: unknown): value is Record<string, unknown> {
  if (value === DEEP) return false;
  return (
    Array.isArray(value) ||
    (typeof value === 'object' &&
      value !== null &&
      Object.getPrototypeOf(value) === Object.prototype)
  );
}

/** The result of a call; `undefined` if it fails in a way that `isExpected`. Any other error is thrown. */
export async function outcome<T>(
  call: () => T | Promise<T>,
  isExpected: (error: unknown) => boolean,
): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (isExpected(error)) return undefined;
    throw error;
  }
}

/** Whether an error says that an argument is wrong; not one of those for code that recurses too deep. */
export function isArgumentError(error: unknown): boolean {
  if (error instanceof RangeError) return !/call stack|Invalid .* length/.test(error.message);
  return error instanceof TypeError;
}
