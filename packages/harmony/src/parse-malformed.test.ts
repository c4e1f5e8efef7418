import { describe, expect, test } from 'vitest';
import { analysis, call, final, readMessages as read } from '../test/read-messages.ts';
import { createToolNames } from './tool-names.ts';

describe('malformed output', () => {
  test.each<[string, string, object[]]>([
    [
      'a call on the analysis channel',
      '<|channel|>analysis to=functions.get_weather <|constrain|>json<|message|>{}<|call|>',
      [call('{}', { channel: 'analysis', contentType: 'json' })],
    ],
    [
      'a call on the final channel, as an answer',
      '<|channel|>final to=functions.get_weather<|message|>{}<|call|>',
      [final('{}')],
    ],
    ['a call without a channel', ' to=functions.get_weather<|message|>{}<|call|>', [call('{}')]],
    [
      'a stray channel before the right one',
      '<|channel|>commentary to=assistant<|channel|>analysis<|message|>Hm.<|end|>',
      [analysis('Hm.')],
    ],
    [
      'free text in the header',
      '<|channel|>commentary I should call<|message|>Wait.<|end|>',
      [{ role: 'assistant', channel: 'commentary', content: 'Wait.' }],
    ],
    [
      'punctuation before the channel',
      '<|channel|>––commentary to=functions.get_weather json<|message|>{}<|call|>',
      [call('{}', { contentType: 'json' })],
    ],
    [
      'punctuation and a doubled channel',
      '<|channel|>commentary?commentary?<|message|>Wait.<|end|>',
      [{ role: 'assistant', channel: 'commentary', content: 'Wait.' }],
    ],
    [
      'a header of punctuation only',
      '<|channel|>??<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>',
      [final('4')],
    ],
    [
      'a doubled channel without a message',
      '<|channel|>commentary?commentary?<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>',
      [final('4')],
    ],
    [
      'a missing <|message|> in an answer',
      '<|channel|>final {"a":1}<|return|>',
      [final('{"a":1}')],
    ],
    ['a missing <|message|> in prose', '<|channel|>finalIt is 4.<|return|>', [final('It is 4.')]],
    [
      'a missing <|message|> after a type',
      '<|channel|>final <|constrain|>json{"a":1}<|return|>',
      [{ ...final('{"a":1}'), contentType: 'json' }],
    ],
    [
      'a missing <|message|> after a bare type',
      '<|channel|>final json\n{"a":1}<|return|>',
      [{ ...final('{"a":1}'), contentType: 'json' }],
    ],
    [
      'a missing <|message|> in analysis',
      '<|channel|>analysis We add.<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>',
      [analysis('We add.'), final('4')],
    ],
    [
      'a missing <|message|> and <|end|>',
      '<|channel|>analysis We add.<|start|>assistant<|channel|>final<|message|>4<|return|>',
      [analysis('We add.'), final('4')],
    ],
    [
      'a missing <|message|> in a call',
      '<|channel|>commentary to=functions.get_weather <|constrain|>json{"a":1}<|call|>',
      [call('{"a":1}', { contentType: 'json' })],
    ],
    [
      'a missing <|message|> in a bare call',
      '<|channel|>commentary to=functions.get_weather{"a":1}<|call|>',
      [call('{"a":1}')],
    ],
    [
      'a call without arguments',
      '<|channel|>commentary to=functions.get_weather<|call|>',
      [call('')],
    ],
    [
      'a doubled <|start|>',
      '<|start|><|start|>assistant<|channel|>final<|message|>4<|return|>',
      [final('4')],
    ],
    [
      'a doubled <|start|>assistant',
      '<|start|>assistant<|start|>assistant<|channel|>final<|message|>4<|return|>',
      [final('4')],
    ],
    [
      'a doubled role',
      '<|start|>assistantassistant<|channel|>final<|message|>4<|return|>',
      [final('4')],
    ],
    ['a doubled <|message|>', '<|channel|>final<|message|><|message|>4<|return|>', [final('4')]],
    ['a missing role', '<|start|><|channel|>final<|message|>4<|return|>', [final('4')]],
    ['a repeated role', 'assistant<|channel|>final<|message|>4<|return|>', [final('4')]],
    ['an empty channel', '<|channel|><|message|>4<|return|>', [final('4')]],
    ['no channel', '<|message|>4<|return|>', [final('4')]],
    [
      'stray text between messages',
      '<|channel|>analysis<|message|>Hm.<|end|>so<|start|>assistant<|channel|>final<|message|>4<|return|>',
      [analysis('Hm.'), final('4')],
    ],
    [
      'stray tokens between messages',
      '<|channel|>analysis<|message|>Hm.<|end|><|end|><|constrain|><|start|>assistant<|channel|>final<|message|>4<|return|>',
      [analysis('Hm.'), final('4')],
    ],
    [
      'a missing <|start|>',
      '<|channel|>analysis<|message|>Hm.<|end|><|channel|>final<|message|>4<|return|>',
      [analysis('Hm.'), final('4')],
    ],
    [
      'a missing <|start|> with a role',
      '<|channel|>analysis<|message|>Hm.<|end|>assistant<|channel|>final<|message|>4<|return|>',
      [analysis('Hm.'), final('4')],
    ],
    [
      'a missing <|end|>',
      '<|channel|>analysis<|message|>Hm.<|start|>assistant<|channel|>final<|message|>4<|return|>',
      [analysis('Hm.'), final('4')],
    ],
    [
      'a missing <|end|> and <|start|>',
      '<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>4<|return|>',
      [analysis('Hm.'), final('4')],
    ],
    [
      'a <|channel|> in the content',
      '<|channel|>final<|message|>a<|channel|>b<|return|>',
      [final('ab')],
    ],
    [
      'a <|channel|> at the end of the content',
      '<|channel|>final<|message|>a<|channel|><|return|>',
      [final('a')],
    ],
    [
      'other control tokens in the content',
      '<|channel|>final<|message|>a<|constrain|>b<|endofprompt|>c<|return|>',
      [final('abc')],
    ],
    [
      'control tokens after the tool name',
      '<|channel|>commentary to=functions.get_weather<|channel|>commentary json<|message|>{}<|call|>',
      [call('{}', { contentType: 'json' })],
    ],
    [
      'a call that ends like a message',
      '<|channel|>commentary to=functions.get_weather json<|message|>{}<|end|>',
      [call('{}', { contentType: 'json' })],
    ],
    ['an answer that ends like a call', '<|channel|>final<|message|>4<|call|>', [final('4')]],
    [
      'a truncated channel',
      '<|channel|>comment to=functions.get_weather json<|message|>{}<|call|>',
      [call('{}', { contentType: 'json' })],
    ],
    [
      'an unknown channel',
      '<|channel|>remarks<|message|>So.<|end|>',
      [{ role: 'assistant', channel: 'commentary', content: 'So.' }],
    ],
    ['a capitalised channel', '<|channel|>Final<|message|>4<|return|>', [final('4')]],
    [
      'a recipient without a namespace',
      '<|channel|>commentary to=get_weather json<|message|>{}<|call|>',
      [call('{}', { contentType: 'json' })],
    ],
    [
      'a recipient without to=',
      '<|channel|>commentary functions.get_weather json<|message|>{}<|call|>',
      [call('{}', { contentType: 'json' })],
    ],
    [
      "a recipient by the tool's own name",
      '<|channel|>commentary to=functions.list-files json<|message|>{}<|call|>',
      [call('{}', { recipient: 'functions.list_files', contentType: 'json' })],
    ],
    [
      'two recipients',
      ' to=functions.get_weather<|channel|>commentary to=python<|message|>{}<|call|>',
      [call('{}')],
    ],
    ['no markup at all', 'It is 4.<|return|>', [final('It is 4.')]],
    ['no markup after the role', '<|start|>assistant It is 4.<|return|>', [final('It is 4.')]],
    [
      'no markup after analysis',
      '<|channel|>analysis<|message|>Hm.<|end|>It is 4.<|return|>',
      [analysis('Hm.'), final('It is 4.')],
    ],
    [
      'no markup after a preamble',
      '<|channel|>commentary<|message|>Wait.<|end|>It is 4.<|return|>',
      [{ role: 'assistant', channel: 'commentary', content: 'Wait.' }, final('It is 4.')],
    ],
    [
      'no markup but the role after a preamble',
      '<|channel|>commentary<|message|>Wait.<|end|><|start|>assistant It is 4.<|return|>',
      [{ role: 'assistant', channel: 'commentary', content: 'Wait.' }, final('It is 4.')],
    ],
    [
      'no markup after an empty answer',
      '<|channel|>final<|message|><|end|>It is 4.<|return|>',
      [final(''), final('It is 4.')],
    ],
    [
      'text before messages without an answer',
      'It is 4.<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|return|>',
      [analysis('Hm.'), final('It is 4.')],
    ],
    [
      'an answer before <|message|>',
      '<|channel|>final It is 4.<|message|><|return|>',
      [final(''), final('It is 4.')],
    ],
    [
      'words in the headers of empty messages, not as an answer',
      '<|channel|>thoughts<|message|><|end|><|start|>assistant<|channel|>analysis of it<|message|><|end|>',
      [{ role: 'assistant', channel: 'commentary', content: '' }, analysis('')],
    ],
    ['an answer before the channel', 'It is 4.<|channel|>final<|return|>', [final('It is 4.')]],
    [
      'a missing <|message|> after a word for the type',
      '<|channel|>final<|constrain|>Seven cats.<|return|>',
      [{ ...final('Seven cats.'), contentType: 'Seven' }],
    ],
    ['a missing <|message|> before a symbol', '<|channel|>final ✅<|return|>', [final('✅')]],
    ['a missing <|message|> before a letter', '<|channel|>final a<|return|>', [final('a')]],
    ['no markup but a letter', 'c<|return|>', [final('c')]],
    [
      'stray text after the answer',
      '<|channel|>final<|message|>4<|end|>More.<|return|>',
      [final('4')],
    ],
  ])('is understood: %s', (_, text, messages) => {
    const result = read(text);
    expect(result.messages).toEqual(messages);
    // Everything is a repair except a call on analysis and text after the answer.
    expect(
      result.repaired.some(Boolean) || /on the analysis channel|after the answer/.test(_),
    ).toBe(true);
  });

  test.each<[string, string, object[]]>([
    ['in an answer', '<|channel|>final<|message|>It is', [final('It is')]],
    [
      'in arguments',
      '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"a',
      [call('{"a', { contentType: 'json' })],
    ],
    [
      'in a tool name',
      '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.get_w',
      [analysis('Hm.')],
    ],
    ['in a channel', '<|channel|>fin', []],
    ['in a role', '<|start|>assist', []],
    ['after <|start|>', '<|start|>', []],
    ['before the first token', '', []],
  ])('may be cut off %s', (_, text, messages) => {
    expect(read(text).messages).toEqual(messages);
  });

  test('may end in <|endoftext|>', () => {
    expect(read('<|channel|>final<|message|>4<|endoftext|>')).toEqual({
      messages: [final('4')],
      repaired: [false],
    });
    expect(
      read('<|channel|>commentary to=functions.get_weather json<|message|>{}<|endoftext|>')
        .messages,
    ).toHaveLength(1);
  });

  test('may name built-in tools without to=', () => {
    const systemTools = [{ name: 'browser', tools: [{ name: 'search' }] }, { name: 'python' }];
    const toolNames = createToolNames([], systemTools);
    const text =
      '<|channel|>commentary browser.search code<|message|>{}<|call|>' +
      '<|start|>assistant<|channel|>analysis python code<|message|>1<|call|>' +
      '<|start|>python<|channel|>analysis<|message|>1<|end|>';
    expect(read(text, toolNames)).toEqual({
      messages: [
        call('{}', { recipient: 'browser.search', contentType: 'code' }),
        { ...analysis('1'), recipient: 'python', contentType: 'code' },
        { role: 'tool', name: 'python', channel: 'analysis', content: '1' },
      ],
      repaired: [true, true, false],
    });
  });

  test('may call unknown tools, which keep the name that the model gave', () => {
    const { messages } = read('<|channel|>analysis to=browser.search code<|message|>{}<|call|>');
    expect(messages).toEqual([
      {
        role: 'assistant',
        channel: 'analysis',
        recipient: 'browser.search',
        contentType: 'code',
        content: '{}',
      },
    ]);
  });
});
