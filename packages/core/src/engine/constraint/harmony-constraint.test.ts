import {
  createParser,
  createTokenizer,
  type ParserEvent,
  renderConversation,
  type Tokenizer,
} from '@ossicle/harmony';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { beforeAll, describe, expect, test } from 'vitest';
import { readTestJson } from '../../../test/files.ts';
import { createRandom } from '../../../test/random.ts';
import { EXAMPLES } from '../../../test/schema-examples.ts';
import type { GenerateOptions, JSONSchema } from '../../types/generate.ts';
import { HarmonyOutput } from '../harmony-output.ts';
import { HarmonyConstraints } from './harmony-constraint.ts';

let tokenizer: Tokenizer;
let constraints: HarmonyConstraints;
let prompt: readonly number[];

beforeAll(async () => {
  const folder = 'demo/public/models/gpt-oss-nano';
  tokenizer = createTokenizer(await readTestJson(`${folder}/tokenizer.json`));
  constraints = new HarmonyConstraints(tokenizer, tokenizer.vocabularySize);
  prompt = renderConversation(tokenizer, [{ role: 'user', content: 'Hi' }]);
});

/** Ids of text in which control tokens are given by name. */
function ids(text: string): number[] {
  return text
    .split(/(<\|\w+\|>)/)
    .filter((part) => part !== '')
    .flatMap((part) =>
      part.startsWith('<|') ? [tokenizer.tokenId(part)!] : tokenizer.encode(part),
    );
}

interface Answer {
  readonly text: string;
  readonly ids: readonly number[];
  /** How many tokens were not chosen. */
  readonly forced: number;
  readonly hasEnded: boolean;
}

/**
 * Writes an answer: any of the tokens that may come, each as likely as the others, but those that end a message or a value
 * now and then.
 */
function write(options: GenerateOptions, seed: number, begun = '', most = 400): Answer {
  const random = createRandom(seed);
  const constraint = constraints.of(options, [...prompt, ...ids(begun)])!;
  const ends = ['<|return|>', '<|call|>', '<|end|>', '<|channel|>', '<|message|>'].map(
    (name) => tokenizer.tokenId(name)!,
  );
  const closing = [...ends, ...['"', ']', '}', '"}'].flatMap((text) => tokenizer.encode(text))];
  const answer: number[] = [];
  let forced = 0;
  const output = new HarmonyOutput(tokenizer, options, [...prompt, ...ids(begun)]);
  const push = (token: number): void => {
    answer.push(token);
    constraint.push(token);
    output.push(token);
  };
  while (answer.length < most && !output.isStopped) {
    const guide = constraint.next();
    if (guide.kind === 'force') {
      for (const token of guide.tokens) push(token);
      forced += guide.tokens.length;
      continue;
    }
    const mask = guide.kind === 'mask' ? guide.mask() : guide.mask!;
    const isAllowed = (id: number): boolean => ((mask[id >>> 5]! >>> (id & 31)) & 1) === 1;
    const some = random.uniform() < 0.3 ? closing.filter(isAllowed) : [];
    const allowed =
      some.length > 0
        ? some
        : Array.from({ length: tokenizer.vocabularySize }, (_, id) => id).filter(isAllowed);
    expect(allowed, tokenizer.decode(answer)).not.toEqual([]);
    push(allowed[random.integer(allowed.length)]!);
  }
  return {
    text: tokenizer.decode(answer),
    ids: answer,
    forced,
    hasEnded: output.isStopped,
  };
}

type MessageEnd = ParserEvent & { type: 'message-end' };

/** The messages of an answer; fails if one of them, except a last one that is cut short, is malformed. */
function messagesOf(answer: Answer): MessageEnd['message'][] {
  const parser = createParser(tokenizer);
  const events = answer.ids.flatMap((id) => parser.push(id));
  const ends = events.filter((event): event is MessageEnd => event.type === 'message-end');
  for (const { repaired, message } of ends) {
    expect(repaired, `${answer.text}: ${JSON.stringify(message)}`).toBe(false);
  }
  return ends.map(({ message }) => message);
}

const tools = [
  {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 12 }, unit: { enum: ['C', 'F'] } },
      required: ['city', 'unit'],
    },
  },
  { name: 'now' },
];
const builtInTools = [
  { name: 'python' },
  {
    name: 'browser',
    tools: [{ name: 'open', parameters: { properties: { id: { type: 'integer' } } } }],
  },
];

/** How many answers are written with each of the options, and to each schema: 1,000 in all, or a few. */
const [TURNS, ROUNDS] = process.env.OSSICLE_SLOW_TESTS ? [150, 10] : [20, 1];

describe('an answer', () => {
  test.each<[string, GenerateOptions, readonly (string | undefined)[]]>([
    ['without tools', {}, [undefined]],
    [
      'with tools',
      { tools, builtInTools },
      [undefined, 'browser.open', 'functions.get_weather', 'functions.now', 'python'],
    ],
    [
      'that must call a tool',
      { tools, toolChoice: 'required' },
      ['functions.get_weather', 'functions.now'],
    ],
    ['that must call one tool', { tools, toolChoice: { name: 'now' } }, ['functions.now']],
    ['that may call none', { tools, toolChoice: 'none' }, [undefined]],
    ['without analysis', { systemMessage: { channels: ['final'] } }, [undefined]],
    [
      'that is JSON',
      { tools, responseFormat: { type: 'json', schema: {} } },
      [undefined, 'functions.get_weather', 'functions.now'],
    ],
  ])('%s has well-formed messages, whatever the model likes', (_, options, recipients) => {
    const seen = new Set<string | undefined>();
    for (let seed = 0; seed < TURNS; seed++) {
      const answer = write(options, seed, '', 150);
      const last = messagesOf(answer).at(-1);
      if (answer.hasEnded) seen.add(last?.recipient);
    }
    expect([...seen].sort()).toEqual([...recipients].sort());
  });

  test('ends each message with the token for its kind', () => {
    const endings = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const { text } = write({ tools }, seed, '', 150);
      for (const [, header, end] of `assistant${text}`.matchAll(
        /assistant(.*?)<\|message\|>.*?(<\|\w+\|>)/gs,
      )) {
        const kind = header!.includes(' to=') ? 'call' : /\w+$/.exec(header!)?.[0];
        endings.add(`${kind} ${end}`);
      }
    }
    expect([...endings].sort()).toEqual([
      'analysis <|end|>',
      'call <|call|>',
      'commentary <|end|>',
      'final <|end|>',
      'final <|return|>',
    ]);
  });

  describe('whose reasoning budget is used up', () => {
    const { analysis, end } = { analysis: '<|channel|>analysis<|message|>', end: '<|end|>' };

    /** What may follow reasoning of two tokens, the budget, as far as it is forced. */
    function after(options: GenerateOptions): string {
      const begun = ids(`${analysis}Hm, so`).slice(0, -1);
      const constraint = constraints.of({ ...options, reasoningBudget: 2 }, prompt)!;
      for (const id of begun) constraint.push(id);
      while (constraint.next().kind === 'free') constraint.push(tokenizer.encode('a')[0]!);
      let text = '';
      for (let guide = constraint.next(); guide.kind === 'force'; guide = constraint.next()) {
        text += tokenizer.decode(guide.tokens);
        for (const id of guide.tokens) constraint.push(id);
      }
      return text;
    }

    test.each<[string, GenerateOptions, string]>([
      ['without tools', {}, ''],
      ['with tools', { tools }, ''],
      [
        'on other channels',
        { systemMessage: { channels: ['analysis', 'final'] } },
        '<|channel|>final<|message|>',
      ],
      [
        'without a final channel',
        { systemMessage: { channels: ['analysis', 'commentary'] } },
        '<|channel|>commentary<|message|>',
      ],
      [
        'with a tool to call on analysis',
        { tools: [tools[1]!], toolChoice: 'required', systemMessage: { channels: ['analysis'] } },
        '',
      ],
    ])('goes on %s', (_, options, forced) => {
      const text = after(options);
      expect(text.startsWith(`${end}<|start|>assistant${forced}`)).toBe(true);
    });

    test.each([
      ['in the message that spends it', '', `${analysis}Hm, so${end}`],
      ['in one that its prompt begins', `${analysis}Hm`, `, so${end}`],
    ])('reasons no more if the answer is replayed: %s', (_, begun, answer) => {
      const options: GenerateOptions = {
        systemMessage: { channels: ['analysis', 'final'] },
        reasoningBudget: 2,
      };
      const constraint = constraints.of(options, [...prompt, ...ids(begun)])!;
      for (const id of ids(answer)) constraint.push(id); // as `resume()` does: nothing asks for what comes next
      let text = '';
      for (let guide = constraint.next(); guide.kind === 'force'; guide = constraint.next()) {
        text += tokenizer.decode(guide.tokens);
        for (const id of guide.tokens) constraint.push(id);
      }
      expect(text).toBe('<|start|>assistant<|channel|>final<|message|>');
    });

    test('reasons no more', () => {
      for (const options of [{}, { tools }, { tools, toolChoice: 'required' }] as const) {
        for (let seed = 0; seed < 20; seed++) {
          const answer = write({ ...options, reasoningBudget: 3 }, seed, '', 150);
          const messages = messagesOf(answer);
          const reasoning = messages.filter(
            ({ channel, recipient }) => channel === 'analysis' && recipient === undefined,
          );
          const tokens = reasoning.flatMap(({ tokens: all = [] }) =>
            all.slice(all.indexOf(tokenizer.tokenId('<|message|>')!) + 1),
          );
          const text = tokens.filter((id) => !tokenizer.isSpecial(id));
          expect(text.length).toBeLessThanOrEqual(3);
        }
      }
    });

    test('is refused if nothing but reasoning may come', () => {
      const options: GenerateOptions = {
        reasoningBudget: 5,
        systemMessage: { channels: ['analysis'] },
      };
      expect(() => constraints.of(options, prompt)).toThrow(RangeError);
      expect(() => constraints.of(options, prompt)).toThrow(/reasoning/);
    });
  });

  test('is not guided after a prompt without messages', () => {
    expect(constraints.of({ toolChoice: 'none' }, tokenizer.encode('Hi'))).toBeUndefined();
  });

  test.each<GenerateOptions>([
    { responseFormat: { type: 'choice', options: ['red', 'green'] } },
    { tools, toolChoice: 'required' },
    { reasoningBudget: 1 },
  ])('cannot be enforced after a prompt without messages: %j', (options) => {
    const start = () => constraints.of(options, tokenizer.encode('Hi'));
    expect(start).toThrow(RangeError);
    const name = Object.keys(options).at(-1);
    expect(start).toThrow(`${name} needs a prompt with <|start|>`);
  });

  test('goes on with the message that its prompt begins', () => {
    const responseFormat = { type: 'choice', options: ['red', 'reddish', 'green'] } as const;
    const answers = Array.from(
      { length: 20 },
      (_, seed) => write({ responseFormat }, seed, '<|channel|>final<|message|>re').text,
    );
    expect(new Set(answers)).toEqual(new Set(['d<|return|>', 'ddish<|return|>']));
    expect(() => write({ responseFormat }, 1, '<|channel|>final<|message|>blue')).toThrow(
      /begins an answer that does not follow responseFormat/,
    );
  });

  test('jumps over what is forced', () => {
    const schema = {
      type: 'object',
      properties: { the_temperature_of_the_water: { type: 'boolean' } },
      required: ['the_temperature_of_the_water'],
    };
    const options: GenerateOptions = { responseFormat: { type: 'json', schema } };
    const { text, forced } = write(options, 1, '<|channel|>final<|message|>');
    expect(text).toMatch(/^\{\s*"the_temperature_of_the_water":\s*(true|false)\s*\}<\|return\|>$/);
    expect(forced).toBeGreaterThan(5);
  });
});

describe('a final message', () => {
  test.each<[string, GenerateOptions['responseFormat'], RegExp]>([
    ['matches its pattern', { type: 'regex', pattern: '^[a-c]{2,4}-\\d$' }, /^[a-c]{2,4}-\d$/u],
    [
      'is a choice',
      { type: 'choice', options: ['ja', 'nein', 'weiß nicht'] },
      /^(ja|nein|weiß nicht)$/,
    ],
    ['is any JSON', { type: 'json', schema: { if: true }, strict: false }, /./s],
  ])('%s', (_, responseFormat, pattern) => {
    for (let seed = 0; seed < 20; seed++) {
      const answer = write({ responseFormat: responseFormat! }, seed);
      const final = messagesOf(answer).find(({ channel }) => channel === 'final');
      if (!answer.hasEnded) continue;
      expect(final!.content).toMatch(pattern);
      if (responseFormat?.type === 'json') JSON.parse(final!.content);
    }
  });
});

const ajv = new Ajv2020({ strict: false, logger: false });
addFormats.default(ajv);

test('answers and arguments parse and follow their schemas', () => {
  let [whole, cut] = [0, 0];
  for (const [i, [schema]] of EXAMPLES.entries()) {
    const validate = ajv.compile(schema as object | boolean);
    const isObject = typeof schema === 'object' && (schema as { type?: unknown }).type === 'object';
    for (let round = 0; round < ROUNDS; round++) {
      const parameters = schema as JSONSchema;
      const options: GenerateOptions =
        isObject && (i + round) % 2 === 1
          ? { tools: [{ name: 'f', parameters }], toolChoice: 'required' }
          : { responseFormat: { type: 'json', schema: parameters } };
      const begun = options.tools
        ? '<|channel|>commentary to=functions.f<|message|>'
        : '<|channel|>final<|message|>';
      const answer = write(options, 1000 * i + round, begun);
      if (!answer.hasEnded) {
        cut++;
        continue;
      }
      const json = answer.text.replace(/<\|\w+\|>$/, '');
      expect(validate(JSON.parse(json)), `${JSON.stringify(schema)}: ${json}`).toBe(true);
      whole++;
    }
  }
  expect(whole).toBeGreaterThan(10 * cut);
});

test.each<[GenerateOptions, RegExp]>([
  [
    {
      tools: [tools[1]!, { name: 'f', parameters: { properties: { a: { not: { minimum: 3 } } } } }],
    },
    /^tools\[1\] \(f\) cannot be enforced: The schema at #\/properties\/a\/not .* strict: false/,
  ],
  [
    {
      builtInTools: [{ name: 'web', tools: [{ name: 'get', parameters: { contains: {} } }] }],
    },
    /^builtInTools\[0\]\.tools\[0\] \(get\) cannot be enforced/,
  ],
  [
    { responseFormat: { type: 'json', schema: { contains: {} } } },
    /^responseFormat cannot be enforced/,
  ],
  [
    { responseFormat: { type: 'regex', pattern: '(?=a)' } },
    /^responseFormat cannot be enforced.*lookahead.* check the answer\.$/,
  ],
  [{ tools, toolChoice: { name: 'f' } }, /toolChoice\.name is "f"/],
  [{ toolChoice: 'required' }, /toolChoice asks for a call/],
])('options that cannot be enforced are refused by name: %j', (options, message) => {
  expect(() => constraints.of(options, prompt)).toThrow(RangeError);
  expect(() => constraints.of(options, prompt)).toThrow(message);
});

test('a tool that is not strict takes any JSON object', () => {
  const loose = [{ name: 'f', parameters: { contains: {} }, strict: false }];
  const begun = '<|channel|>commentary to=functions.f<|message|>';
  const { text } = write({ tools: loose }, 3, begun);
  expect(text).toMatch(/^\{/);
});
