import { describe, expect, test } from 'vitest';
import { createNanoTokenizer, readNanoConversations } from '../test/golden.ts';
import { readPrompt } from '../test/prompt-reader.ts';
import type { Message, ToolDefinition } from './message.ts';
import { createParser } from './parse.ts';
import { renderConversation, renderMessages } from './render.ts';

const tokenizer = createNanoTokenizer();
const special = (name: string): number => tokenizer.tokenId(name)!;
const textOf = (
  messages: readonly Message[],
  options?: Parameters<typeof renderMessages>[2],
): string => tokenizer.decode(renderMessages(tokenizer, messages, options));
const promptOf = (
  messages: readonly Message[],
  options?: Parameters<typeof renderConversation>[2],
): string => tokenizer.decode(renderConversation(tokenizer, messages, options));

const add: ToolDefinition = {
  name: 'add',
  description: 'Adds.',
  parameters: { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] },
};

describe('the embedded model', () => {
  const conversations = readNanoConversations().map((conversation, index) => ({
    index,
    ...conversation,
  }));

  test.each(conversations)(
    'conversation $index ($skill) renders to the ids of its golden prompt',
    ({ prompt, prompt_ids: expected }) => {
      const { hasSystem, options, messages } = readPrompt(tokenizer, prompt);
      const ids = renderConversation(tokenizer, messages, options);
      // Some training prompts have no system message; a conversation always has one.
      const skipped = hasSystem ? 0 : ids.indexOf(special('<|end|>')) + 1;
      expect(ids.slice(skipped)).toEqual(expected);
    },
  );

  test.each(conversations)(
    'conversation $index ($skill) continues with exactly the tokens that the model wrote',
    ({ prompt_ids: prompt, completion_ids: completion }) => {
      const parser = createParser(tokenizer);
      for (const id of completion) parser.push(id);
      parser.finish();
      const ids = renderMessages(tokenizer, parser.messages, { keepAnalysis: true });
      const inHistory = completion.map((id) =>
        id === special('<|return|>') ? special('<|end|>') : id,
      );
      expect(ids).toEqual([...prompt.slice(-2), ...inHistory]);
    },
  );
});

describe('the system message', () => {
  test('states identity, knowledge cutoff, effort and channels by default', () => {
    expect(promptOf([])).toBe(
      '<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n' +
        'Knowledge cutoff: 2024-06\n\nReasoning: medium\n\n' +
        '# Valid channels: analysis, commentary, final. Channel must be included for every message.' +
        '<|end|><|start|>assistant',
    );
  });

  test('follows the options', () => {
    const prompt = promptOf([], {
      identity: 'You are a shell.',
      knowledgeCutoff: null,
      currentDate: '2031-12-24',
      reasoningEffort: 'high',
      channels: ['analysis', 'final'],
    });
    expect(prompt).toBe(
      '<|start|>system<|message|>You are a shell.\nCurrent date: 2031-12-24\n\nReasoning: high\n\n' +
        '# Valid channels: analysis, final. Channel must be included for every message.<|end|><|start|>assistant',
    );
  });

  test('states where calls go if there are functions', () => {
    expect(promptOf([], { tools: [add] })).toContain(
      "every message.\nCalls to these tools must go to the commentary channel: 'functions'.<|end|>",
    );
  });

  test('describes built-in tools by namespace, sorted', () => {
    const prompt = promptOf([], {
      systemTools: [
        { name: 'shell', description: 'Runs commands.\nSlowly.' },
        { name: 'files', description: 'For files.', tools: [{ name: 'list' }] },
      ],
    });
    expect(prompt).toContain(
      'Reasoning: medium\n\n# Tools\n\n## files\n\n// For files.\nnamespace files {\n\ntype list = () => any;\n\n' +
        '} // namespace files\n\n## shell\n\nRuns commands.\nSlowly.\n\n# Valid channels',
    );
  });

  test('rejects a schema that does not end, and names the tool', () => {
    const parameters: Record<string, unknown> = { type: 'array' };
    parameters.items = parameters;
    expect(() => promptOf([], { tools: [{ name: 'f', parameters }] })).toThrow(
      /^The schema of the tool "f" is nested more than 128 deep/,
    );
  });

  test('rejects an unknown effort or channel', () => {
    expect(() => promptOf([], { reasoningEffort: 'none' as 'low' })).toThrow(RangeError);
    expect(() => promptOf([], { channels: ['thoughts' as 'final'] })).toThrow(RangeError);
  });
});

describe('the developer message', () => {
  const developer = (
    options: Parameters<typeof promptOf>[1],
    messages: readonly Message[] = [],
  ): string =>
    /<\|start\|>developer<\|message\|>(.*?)<\|end\|>/s.exec(promptOf(messages, options))?.[1] ??
    'none';

  test('is omitted if it would be empty', () => {
    expect(developer({})).toBe('none');
    expect(developer({ tools: [], instructions: '' })).toBe('none');
  });

  test('has instructions, tools and response format, in this order', () => {
    const schema = { type: 'object', properties: { n: { type: 'integer' } } };
    expect(
      developer({
        instructions: 'Count.',
        tools: [add, { name: 'now' }],
        responseFormat: { type: 'json', name: 'sum', schema: { description: 'A sum.', ...schema } },
      }),
    ).toBe(
      '# Instructions\n\nCount.\n\n# Tools\n\n## functions\n\nnamespace functions {\n\n' +
        '// Adds.\ntype add = (_: {\na: number,\n}) => any;\n\ntype now = () => any;\n\n} // namespace functions\n\n' +
        `# Response Formats\n\n## sum\n\n// A sum.\n${JSON.stringify(schema)}`,
    );
  });

  test('names a response format "response" by default', () => {
    const responseFormat = { type: 'json', schema: { type: 'object' } } as const;
    expect(developer({ responseFormat })).toBe(
      '# Response Formats\n\n## response\n\n{"type":"object"}',
    );
  });

  test('appends leading system and developer messages to the instructions', () => {
    const messages: Message[] = [
      { role: 'system', content: 'Be kind.' },
      { role: 'developer', content: 'Be short.' },
      { role: 'user', content: 'Hi' },
    ];
    expect(developer({ instructions: 'Be right.' }, messages)).toBe(
      '# Instructions\n\nBe right.\n\nBe kind.\n\nBe short.',
    );
    expect(promptOf(messages)).not.toContain('<|start|>system<|message|>Be kind');
  });

  test('stays in place if it comes later', () => {
    const prompt = promptOf([
      { role: 'user', content: 'Hi' },
      { role: 'system', content: 'Speak French.' },
    ]);
    expect(prompt).toMatch(
      /user<\|message\|>Hi<\|end\|><\|start\|>developer<\|message\|># Instructions\n\nSpeak French\.<\|end\|><\|start\|>assistant$/,
    );
  });
});

describe('messages', () => {
  test('of the assistant are final by default, and commentary if they call a tool', () => {
    expect(textOf([{ role: 'assistant', content: 'Yes.' }])).toBe(
      '<|start|>assistant<|channel|>final<|message|>Yes.<|end|>',
    );
    expect(textOf([{ role: 'assistant', recipient: 'functions.add', content: '{"a":1}' }])).toBe(
      '<|start|>assistant to=functions.add<|channel|>commentary <|constrain|>json<|message|>{"a":1}<|call|>',
    );
  });

  test('state other content types as bare words', () => {
    const call: Message = {
      role: 'assistant',
      channel: 'analysis',
      recipient: 'python',
      contentType: 'code',
      content: 'x',
    };
    expect(textOf([call])).toBe(
      '<|start|>assistant to=python<|channel|>analysis code<|message|>x<|call|>',
    );
  });

  test("of a tool are addressed to the assistant, under the function's full name", () => {
    expect(textOf([{ role: 'tool', name: 'add', content: '3' }])).toBe(
      '<|start|>functions.add to=assistant<|channel|>commentary<|message|>3<|end|>',
    );
    expect(textOf([{ role: 'tool', name: 'functions.add', content: '3' }])).toContain(
      '<|start|>functions.add to=',
    );
  });

  test('of a built-in tool keep its name', () => {
    const result: Message = {
      role: 'tool',
      name: 'files.list',
      channel: 'analysis',
      content: 'a.txt',
    };
    expect(textOf([result], { systemTools: [{ name: 'files' }] })).toBe(
      '<|start|>files.list to=assistant<|channel|>analysis<|message|>a.txt<|end|>',
    );
    expect(textOf([result])).toContain('<|start|>functions.files_list to=');
  });

  test("of gpt-oss's own tools, and of tools called without a namespace, keep their names", () => {
    const call: Message = {
      role: 'assistant',
      recipient: 'shell',
      channel: 'analysis',
      content: 'ls',
    };
    for (const name of ['python', 'browser.search']) {
      const result: Message = { role: 'tool', name, content: '1' };
      expect(textOf([result])).toBe(
        `<|start|>${name} to=assistant<|channel|>commentary<|message|>1<|end|>`,
      );
      expect(textOf([result], { tools: [{ name }] })).toContain('<|start|>functions.');
    }
    expect(textOf([call, { role: 'tool', name: 'shell', content: '1' }])).toMatch(
      /<\|start\|>shell to=assistant<\|channel\|>analysis<\|message\|>1<\|end\|>$/,
    );
  });

  test('of a tool are on the channel of the call by default', () => {
    const result: Message = { role: 'tool', name: 'add', content: '3' };
    const call: Message = { role: 'assistant', recipient: 'functions.add', content: '{}' };
    expect(textOf([{ ...call, channel: 'analysis' }, result])).toContain(
      '<|channel|>analysis<|message|>3',
    );
    expect(textOf([{ ...call, channel: 'analysis' }, call, result])).toContain(
      '<|channel|>commentary<|message|>3',
    );
    expect(textOf([call, { ...result, channel: 'final' }])).toContain(
      '<|channel|>final<|message|>3',
    );
  });

  test('write tool names as the identifiers that the model knows', () => {
    const tools: ToolDefinition[] = [{ name: 'get-weather' }, { name: 'get_weather' }];
    const messages: Message[] = [
      { role: 'assistant', recipient: 'get-weather', content: '{}' },
      { role: 'tool', name: 'get-weather', content: 'rain' },
      { role: 'tool', name: 'get_weather', content: 'sun' },
    ];
    const text = textOf(messages, { tools });
    expect(text).toContain('<|start|>assistant to=functions.get_weather_2<|channel|>');
    expect(text).toContain(
      '<|start|>functions.get_weather_2 to=assistant<|channel|>commentary<|message|>rain',
    );
    expect(text).toContain(
      '<|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>sun',
    );
  });

  test('may name their author', () => {
    expect(textOf([{ role: 'user', name: 'ann', content: 'Hi' }])).toBe(
      '<|start|>user:ann<|message|>Hi<|end|>',
    );
    expect(textOf([{ role: 'assistant', name: 'critic<|end|> 2', content: 'No' }])).toBe(
      '<|start|>assistant:critic__end___2<|channel|>final<|message|>No<|end|>',
    );
  });

  test('that are malformed are rejected', () => {
    const bad: [unknown, typeof TypeError][] = [
      [{ role: 'robot', content: '' }, RangeError],
      [{ role: 'user', content: ['Hi'] }, TypeError],
      [{ role: 'assistant', channel: 'thoughts', content: '' }, RangeError],
      [{ role: 'tool', content: '3' }, TypeError],
      [{ role: 'user', name: null, content: 'Hi' }, TypeError],
      [{ role: 'assistant', recipient: null, content: 'Hi' }, TypeError],
      [{ role: 'assistant', contentType: 7, content: 'Hi' }, TypeError],
      [null, TypeError],
      ['Hi', TypeError],
    ];
    for (const [message, error] of bad) expect(() => textOf([message as Message])).toThrow(error);
    for (const [message, error] of bad) {
      expect(() => promptOf([message as Message])).toThrow(error);
      expect(() => promptOf([message as Message])).toThrow(/^messages\[0\]/);
    }
    for (const messages of [null, undefined, {}, 5]) {
      expect(() => promptOf(messages as unknown as Message[])).toThrow(/messages must be an array/);
    }
  });
});

describe('old analysis', () => {
  const user: Message = { role: 'user', content: 'Q' };
  const think = (content: string): Message => ({ role: 'assistant', channel: 'analysis', content });
  const final: Message = { role: 'assistant', content: 'A' };
  const call: Message = { role: 'assistant', recipient: 'functions.add', content: '{}' };
  const result: Message = { role: 'tool', name: 'add', content: '3' };
  const thoughts = (
    messages: readonly Message[],
    options?: Parameters<typeof textOf>[1],
  ): string[] =>
    [...textOf(messages, options).matchAll(/analysis<\|message\|>(.*?)<\|/g)].map(
      ([, text]) => text!,
    );

  test('is dropped once a new turn follows the answer', () => {
    expect(thoughts([user, think('one'), final, user, think('two'), final, user])).toEqual([]);
  });

  test('is kept until then', () => {
    expect(thoughts([user, think('one'), final])).toEqual(['one']);
    expect(thoughts([user, think('one'), final, user, think('two'), final])).toEqual(['two']);
  });

  test('is kept while a turn is calling tools, and dropped from earlier turns', () => {
    expect(thoughts([user, think('one'), call, result, think('two')])).toEqual(['one', 'two']);
    expect(thoughts([user, think('one'), final, user, think('two'), call, result])).toEqual([
      'two',
    ]);
  });

  test('is dropped without calls, results and preambles', () => {
    const preamble: Message = { role: 'assistant', channel: 'commentary', content: 'Wait.' };
    const text = textOf([user, think('one'), preamble, call, result, final, user]);
    expect(text).toBe(textOf([user, preamble, call, result, final, user]));
  });

  test('is dropped along with calls to built-in tools on analysis, but not to functions', () => {
    const systemTools = [{ name: 'python' }];
    const code: Message = {
      role: 'assistant',
      channel: 'analysis',
      recipient: 'python',
      content: 'x',
    };
    const output: Message = { role: 'tool', name: 'python', content: '1' };
    const early: Message = { ...call, channel: 'analysis' };
    const text = textOf([user, code, output, early, result, final, user], { systemTools });
    expect(text).toBe(textOf([user, early, result, final, user]));
  });

  test('is kept on request', () => {
    expect(thoughts([user, think('one'), final, user], { keepAnalysis: true })).toEqual(['one']);
  });
});

test('a conversation can do without a system message', () => {
  const messages = [{ role: 'user', content: '8x5?' }] as const;
  expect(promptOf(messages, { omitSystemMessage: true })).toBe(
    '<|start|>user<|message|>8x5?<|end|><|start|>assistant',
  );
});
