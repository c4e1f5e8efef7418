import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fuzz } from '../../core/test/fuzz.ts';
import { readNanoConversations } from '../test/golden.ts';
import { encodeMarked } from '../test/prompt-reader.ts';
import {
  analysis,
  call,
  eventsOf,
  final,
  readMessages as read,
  tokenizer,
} from '../test/read-messages.ts';
import { createParser } from './parse.ts';
import { stopTokens } from './special-tokens.ts';

describe('well-formed output', () => {
  test('is parsed into messages', () => {
    const { messages, repaired } = read(
      '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>Wait.<|end|>' +
        '<|start|>assistant<|channel|>final<|message|>4<|return|>',
    );
    const preamble = { role: 'assistant', channel: 'commentary', content: 'Wait.' };
    expect(messages).toEqual([analysis('Hm.'), preamble, final('4')]);
    expect(repaired).toEqual([false, false, false]);
  });

  test.each([
    [
      '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{}<|call|>',
      'json',
    ],
    [
      '<|channel|>commentary to=functions.get_weather<|constrain|>json<|message|>{}<|call|>',
      'json',
    ],
    [
      ' to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>{}<|call|>',
      'json',
    ],
    [' to=functions.get_weather<|channel|>commentary json<|message|>{}<|call|>', 'json'],
    ['<|channel|>commentary to=functions.get_weather code<|message|>{}<|call|>', 'code'],
    [
      '<|start|>assistant to=functions.get_weather<|channel|>commentary<|message|>{}<|call|>',
      undefined,
    ],
  ])('may write calls in any of their forms: %s', (text, contentType) => {
    expect(read(text)).toEqual({
      messages: [call('{}', contentType ? { contentType } : {})],
      repaired: [false],
    });
  });

  test('may give its answer a content type', () => {
    expect(read('<|channel|>final <|constrain|>json<|message|>{}<|return|>')).toEqual({
      messages: [{ ...final('{}'), contentType: 'json' }],
      repaired: [false],
    });
  });

  test('may consist of whole messages of any role', () => {
    const text =
      '<|start|>user:ann<|message|>Hi<|end|><|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>rain<|end|>' +
      '<|start|>files.list to=assistant<|channel|>commentary<|message|>a<|end|>';
    expect(read(text)).toEqual({
      messages: [
        { role: 'user', name: 'ann', content: 'Hi' },
        { role: 'tool', name: 'get_weather', channel: 'commentary', content: 'rain' },
        { role: 'tool', name: 'files.list', channel: 'commentary', content: 'a' },
      ],
      repaired: [false, false, false],
    });
  });

  test('is streamed: the header at <|message|>, then text, then the message', () => {
    const events = eventsOf(
      encodeMarked(tokenizer, '<|channel|>final<|message|>One two<|return|>'),
    );
    expect(events[0]).toEqual({
      type: 'message-start',
      role: 'assistant',
      channel: 'final',
      recipient: undefined,
      contentType: undefined,
    });
    const deltas = events.filter((event) => event.type === 'content-delta');
    expect(deltas.length).toBeGreaterThan(1);
    expect(deltas.map(({ text }) => text).join('')).toBe('One two');
    expect(deltas.every(({ channel }) => channel === 'final')).toBe(true);
    expect(events.at(-1)).toMatchObject({ type: 'message-end', message: final('One two') });
  });

  test('keeps all of its tokens, each with its message', () => {
    const first = encodeMarked(tokenizer, '<|channel|>analysis<|message|>Hm.<|end|>');
    const second = encodeMarked(
      tokenizer,
      '<|start|>assistant<|channel|>final<|message|>4<|return|>',
    );
    const parser = createParser(tokenizer);
    for (const id of [...first, ...second]) parser.push(id);
    expect(parser.messages.map(({ tokens }) => tokens)).toEqual([first, second]);
  });

  test.each(
    readNanoConversations().map(({ completion, completion_ids: ids }) => ({ completion, ids })),
  )('of the embedded model is parsed without repair: $completion', ({ completion, ids }) => {
    const ends = eventsOf(ids).filter((event) => event.type === 'message-end');
    const contents = [...completion.matchAll(/<\|message\|>(.*?)<\|(?:end|call|return)\|>/gs)];
    expect(ends.map(({ message }) => message.content)).toEqual(contents.map(([, text]) => text));
    expect(ends.every(({ repaired }) => !repaired)).toBe(true);
  });
});

describe('a prompt', () => {
  const readAfter = (prompt: string, output: string) => {
    const ids = encodeMarked(tokenizer, prompt);
    const parser = createParser(tokenizer, { prompt: Uint32Array.from(ids) });
    const pushed = encodeMarked(tokenizer, output).flatMap((id) => parser.push(id));
    return { ids, parser, events: [...pushed, ...parser.finish()] };
  };
  const history = '<|start|>user<|message|>Hi<|end|>';

  test.each([
    ['', '<|channel|>analysis<|message|>Hm.<|end|>'],
    ['One upon', '<|channel|>analysis<|message|>Hm.<|end|>'],
    [history, '<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|>'],
    [`${history}<|start|>assistant`, '<|channel|>analysis<|message|>Hm.<|end|>'],
    [`${history}<|start|>assistant<|channel|>`, 'analysis<|message|>Hm.<|end|>'],
    [`${history}<|start|>assistant<|channel|>analysis`, '<|message|>Hm.<|end|>'],
    [`${history}<|start|>assistant<|channel|>analysis<|message|>`, 'Hm.<|end|>'],
    [`${history}<|start|>assistant<|channel|>analysis<|message|>H`, 'm.<|end|>'],
    [`${history}<|start|>assistant<|channel|>analysis<|message|>Hm.`, ''],
  ])('may end anywhere in a message: %j', (prompt, output) => {
    const { ids, events } = readAfter(prompt, output);
    expect(events[0]).toMatchObject({ type: 'message-start', channel: 'analysis' });
    const end = events.at(-1)!;
    expect(end).toMatchObject({ type: 'message-end', message: analysis('Hm.'), repaired: false });
    const deltas = events.map((event) => (event.type === 'content-delta' ? event.text : ''));
    expect(deltas.join('')).toBe('Hm.');
    // The message has the whole of its tokens, so that a history can reuse them.
    const { tokens = [] } = end.type === 'message-end' ? end.message : {};
    const all = [...ids, ...encodeMarked(tokenizer, output)];
    expect(tokens).toEqual(all.slice(-tokens.length));
  });

  test('that ends inside a message is continued in its role', () => {
    const { parser } = readAfter('<|start|>user<|message|>What', ' is it?<|end|>');
    expect(parser.messages).toMatchObject([{ role: 'user', content: 'What is it?' }]);
  });
});

describe('characters that span tokens', () => {
  const emoji = tokenizer.encode('💖');
  const open = encodeMarked(tokenizer, '<|channel|>final<|message|>');

  test('are emitted once they are complete', () => {
    expect(emoji.length).toBeGreaterThan(1);
    const parser = createParser(tokenizer);
    for (const id of open) parser.push(id);
    for (const id of emoji.slice(0, -1)) expect(parser.push(id)).toEqual([]);
    expect(parser.push(emoji.at(-1)!)).toMatchObject([{ type: 'content-delta', text: '💖' }]);
  });

  test('become U+FFFD if the message ends within them, and do not leak into the next', () => {
    const ids = [
      ...open,
      emoji[0]!,
      ...encodeMarked(tokenizer, '<|end|>'),
      ...open,
      ...tokenizer.encode('ok'),
    ];
    const ends = eventsOf(ids).filter((event) => event.type === 'message-end');
    expect(ends.map(({ message }) => message.content)).toEqual(['\uFFFD', 'ok']);
  });

  test('become U+FFFD if the tokens end within them', () => {
    expect(eventsOf([...open, emoji[0]!]).at(-1)).toMatchObject({ message: final('\uFFFD') });
  });
});

const turns = [
  '<|channel|>final<|message|>Seven cats.<|return|>',
  '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Seven cats.<|return|>',
  '<|channel|>commentary<|message|>Wait.<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>Seven cats.<|return|>',
  '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"a":1}<|call|>',
];

test.each(turns.slice(0, 3))(
  'no change of one token before its text loses an answer: %s',
  (turn) => {
    const [head = ''] = turn.split('Seven');
    const ids = encodeMarked(tokenizer, head);
    const rest = encodeMarked(tokenizer, turn.slice(head.length));
    const added = ['start', 'message', 'end', 'call', 'return', 'channel', 'constrain', 'endoftext']
      .map((name) => tokenizer.tokenId(`<|${name}|>`)!)
      .concat(['assistant', 'final', ' json', ' '].map((word) => tokenizer.encode(word)[0]!));
    for (const at of ids.keys()) {
      const changes = [[], [ids[at]!, ids[at]!], ...added.flatMap((id) => [[id], [id, ids[at]!]])];
      for (const change of changes) {
        const changed = [...ids.slice(0, at), ...change, ...ids.slice(at + 1), ...rest];
        const ends = eventsOf(changed).filter((event) => event.type === 'message-end');
        const text = ends.map(({ message }) => message.content).join();
        expect(text, tokenizer.decode(changed)).toContain('Seven cats.');
      }
    }
  },
);

describe('any sequence of ids', () => {
  const structure = [
    'start',
    'message',
    'end',
    'call',
    'return',
    'channel',
    'constrain',
    'endoftext',
    'endofprompt',
  ];
  const specials = structure.map((name) => tokenizer.tokenId(`<|${name}|>`)!);
  const words = [
    'assistant',
    'final',
    'analysis',
    'commentary',
    ' to=functions.get_weather',
    'user',
    ' json',
    ' ',
  ];
  const id = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...specials).map((token) => [token]) },
    { weight: 3, arbitrary: fc.constantFrom(...words).map((word) => tokenizer.encode(word)) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 1700 }).map((token) => [token]) },
    { weight: 1, arbitrary: fc.constantFrom(-1, 1.5, Number.NaN, 1e9).map((token) => [token]) },
  );
  const random = fc.array(id, { maxLength: 40 }).map((parts) => parts.flat());
  const edit = fc.record({
    at: fc.nat(),
    removed: fc.nat(2),
    added: fc.array(id, { maxLength: 2 }),
  });
  const changedTurn = fc
    .tuple(fc.constantFrom(...turns), fc.array(edit, { maxLength: 6 }))
    .map(([turn, edits]) => {
      const ids = encodeMarked(tokenizer, turn);
      for (const { at, removed, added } of edits) {
        ids.splice(at % (ids.length + 1), removed, ...added.flat());
      }
      return ids;
    });
  const sequence = fc.oneof(random, changedTurn);

  test('is parsed without an error, and every message that starts ends', () =>
    fuzz('tokens', sequence, (ids) => {
      let open: string[] | undefined;
      for (const event of eventsOf(ids)) {
        if (event.type === 'message-start') {
          expect(open).toBeUndefined();
          expect(event.role !== 'assistant' || event.channel !== undefined).toBe(true);
          open = [];
        } else if (event.type === 'content-delta') {
          expect(event.text).not.toBe('');
          open!.push(event.text);
        } else {
          expect(event.message.content).toBe(open!.join(''));
          expect(event.message.content).not.toMatch(/<\|\w+\|>/);
          open = undefined;
        }
      }
      expect(open).toBeUndefined();
    }));

  test('keeps every token of its messages', () => {
    fc.assert(
      fc.property(sequence, (ids) => {
        const ends = eventsOf(ids).filter((event) => event.type === 'message-end');
        const kept = ends.flatMap(({ message }) => message.tokens ?? []);
        expect(kept).toEqual(ids.slice(0, kept.length));
      }),
      { numRuns: 2000, seed: 12 },
    );
  });
});

test('stops at <|return|>, <|call|> and <|endoftext|>, not at <|end|>', () => {
  expect(stopTokens(tokenizer).map((id) => tokenizer.decode([id]))).toEqual([
    '<|return|>',
    '<|call|>',
    '<|endoftext|>',
  ]);
});
