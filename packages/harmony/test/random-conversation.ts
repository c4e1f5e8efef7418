// Random conversations, each written twice: as this package takes it, and as OpenAI's renderer does.
import { createRandom, type Random } from '../../core/test/random.ts';
import type { Message } from '../src/index.ts';
import type { renderConversation } from '../src/render.ts';

/** A conversation in both forms. */
export interface RandomConversation {
  readonly messages: readonly Message[];
  readonly options: Parameters<typeof renderConversation>[2];
  /** The messages of `openai-harmony`, system and developer included. */
  readonly reference: readonly object[];
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json | undefined };
type JsonObject = { [key: string]: Json | undefined };
type Tool = { name: string; description?: string; parameters?: JsonObject };
type Namespace = { name: string; description?: string; tools?: Tool[] };

const TEXTS = [
  ...[
    '',
    'Hi',
    'Yes.\n',
    'One.\nTwo.',
    'a\r\nb\r\n',
    '\n',
    ' lead',
    'x<|end|>y',
    '\n\nA\n\n',
    'a\rb',
  ],
  ...[
    '<|start|>system<|message|>',
    'emoji 💖 é',
    '"quoted" \\ back',
    '{"a":1}',
    'tab\there',
    'null',
  ],
  ...['to=functions.x', '日本語テキスト', '// comment', 'It’s 3.14!', 'a'.repeat(60)],
];
const NAMES = ['get_weather', 'add', 'f', 'list_files', '$x', '_y', 'camelCase', 'A1', 'null_tool'];
const KEYS = ['a', 'b', 'city', 'my-key', 'x y', 'é', 'type', 'items', '1', 'null', 'description'];
const NUMBERS = [0.5, 1e-6, 2.5e-7, 1e21, 0.1, 3.14, 123456789012, -0.001, 7, -50];
const SCALARS = ['string', 'number', 'integer', 'boolean'];
const CHANNELS = ['analysis', 'commentary', 'final'] as const;

/** Draws the parts of conversations. */
class Draw {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = createRandom(seed);
  }

  chance(probability: number): boolean {
    return this.#random.uniform() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.#random.integer(list.length)] as T;
  }

  /** A value, or `undefined`. */
  maybe<T>(probability: number, make: () => T): T | undefined {
    return this.chance(probability) ? make() : undefined;
  }

  /** From `least` to `most` values. */
  list<T>(least: number, most: number, make: () => T): T[] {
    return Array.from({ length: least + this.#random.integer(most - least + 1) }, make);
  }

  text(): string {
    return this.chance(0.2) ? this.pick(TEXTS) + this.pick(TEXTS) : this.pick(TEXTS);
  }

  value(depth = 0): Json {
    const kind = this.#random.integer(depth > 2 ? 4 : 6);
    if (kind < 2) return this.pick([null, true, false]);
    if (kind === 2) return this.pick(NUMBERS);
    if (kind === 3) return this.text();
    if (kind === 4) return this.list(0, 2, () => this.value(depth + 1));
    return Object.fromEntries(this.list(0, 2, () => [this.pick(KEYS), this.value(depth + 1)]));
  }

  schema(depth: number): JsonObject {
    const kind = depth < 4 ? this.#random.uniform() : 1;
    const made: JsonObject =
      kind < 0.25
        ? this.object(depth)
        : kind < 0.4
          ? { type: 'array', items: this.maybe(0.85, () => this.schema(depth + 1)) }
          : kind < 0.52
            ? { oneOf: this.list(1, 4, () => this.schema(depth + 1)) }
            : kind < 0.6
              ? { type: this.list(1, 3, () => this.pick([...SCALARS, 'null'])) }
              : { type: this.pick(SCALARS) };
    if (made.type === 'string' && this.chance(0.4)) {
      made.enum = this.list(1, 3, () => this.pick(['a', 'b', 'c"d', 'null', 'x\ny', '']));
    }
    const choices = made.enum as Json[] | undefined;
    return defined({
      ...made,
      description: this.maybe(0.35, () => this.text()),
      title: this.maybe(0.15, () => this.text()),
      default: this.maybe(0.25, () => (choices ? this.pick(choices) : this.value())),
      examples: this.maybe(0.15, () => this.list(0, 3, () => this.value())),
      nullable: this.maybe(0.15, () => this.pick([true, false])),
    });
  }

  object(depth: number): JsonObject {
    const pair = (): [string, JsonObject] => [this.pick(KEYS), this.schema(depth + 1)];
    return defined({
      type: 'object',
      properties: this.maybe(0.93, () => Object.fromEntries(this.list(0, 4, pair))),
      required: this.maybe(0.7, () => this.list(0, 2, () => this.pick(KEYS))),
    });
  }

  tools(most: number): Tool[] {
    const names = new Set(this.list(1, most, () => this.pick(NAMES)));
    return [...names].map((name) =>
      defined({
        name,
        description: this.maybe(0.8, () => this.text()),
        parameters: this.maybe(0.85, () => this.object(0)),
      }),
    );
  }

  namespaces(): Namespace[] {
    const names = this.list(1, 3, () => this.pick(['browser', 'python', 'shell', 'Zed', 'a1']));
    return [...new Set(names)].map((name) =>
      defined({
        name,
        description: this.maybe(0.7, () => this.text()),
        tools: name === 'python' ? undefined : this.maybe(0.7, () => this.tools(3)),
      }),
    );
  }
}

/** The conversation of a seed. */
export function randomConversation(seed: number): RandomConversation {
  const draw = new Draw(seed);
  const tools = draw.maybe(0.7, () => draw.tools(4));
  const systemTools = draw.maybe(0.4, () => draw.namespaces());
  const options = defined({
    identity: draw.maybe(0.3, () => draw.text() || 'X'),
    reasoningEffort: draw.pick([undefined, 'low', 'medium', 'high'] as const),
    currentDate: draw.maybe(0.5, () => draw.pick(['2025-08-05', 'today'])),
    knowledgeCutoff: draw.maybe(0.3, () => draw.pick([null, '2025-01', 'never'])),
    channels: draw.maybe(0.4, () => CHANNELS.filter(() => draw.chance(0.6))),
    instructions: draw.maybe(0.6, () => draw.text() || 'Be brief.'),
    tools,
    systemTools,
    keepAnalysis: true,
  });
  const messages = draw.list(0, 8, () => randomMessages(draw, tools, systemTools)).flat();
  const reference = [systemOf(options), ...developerOf(options), ...messages.map(referenceOf)];
  return { messages, options, reference };
}

/** A message, or a call and its result. */
function randomMessages(draw: Draw, tools: Tool[] = [], namespaces: Namespace[] = []): Message[] {
  const content = draw.text();
  const channel = draw.maybe(0.7, () => draw.pick(CHANNELS));
  const contentType = draw.maybe(0.15, () => draw.pick(['json', 'code']));
  const name = draw.maybe(0.1, () => draw.pick(['ann', 'Bob-2', 'a.b', 'jörg', '7']));
  const kind = draw.pick(['user', 'user', 'assistant', 'call', 'call']);
  if (kind === 'user') return [defined({ role: 'user', content, name })];
  if (kind === 'assistant') {
    return [defined({ role: 'assistant', content, name, channel, contentType })];
  }
  const recipients = [
    ...tools.map((tool) => `functions.${tool.name}`),
    ...namespaces.map((each) => (each.tools ? `${each.name}.${each.tools[0]?.name}` : each.name)),
    'python',
    'browser.search',
  ];
  const recipient = draw.pick(recipients);
  const on = channel === 'final' ? undefined : channel;
  const answer = { role: 'tool', name: recipient, content: draw.text(), channel: on } as const;
  return [
    defined({ role: 'assistant', content, name, recipient, channel: on, contentType }),
    ...(draw.chance(0.8) ? [defined(answer)] : []),
  ];
}

function systemOf({
  identity = 'You are ChatGPT, a large language model trained by OpenAI.',
  reasoningEffort = 'medium',
  currentDate = null,
  knowledgeCutoff = '2024-06',
  channels = CHANNELS,
  systemTools,
}: Record<string, unknown> & { systemTools?: Namespace[]; reasoningEffort?: string }): object {
  const namespaces = systemTools?.map(({ name, description = null, tools }) => [
    name,
    { name, description, tools: (tools ?? []).map(toolOf) },
  ]);
  const content = {
    type: 'system_content',
    model_identity: identity,
    reasoning_effort: `${reasoningEffort[0]?.toUpperCase()}${reasoningEffort.slice(1)}`,
    tools: namespaces ? Object.fromEntries(namespaces) : null,
    conversation_start_date: currentDate,
    knowledge_cutoff: knowledgeCutoff,
    channel_config: { valid_channels: channels, channel_required: true },
  };
  return { role: 'system', content: [content] };
}

function developerOf({
  instructions = null,
  tools,
}: Record<string, unknown> & { tools?: Tool[] }): object[] {
  if (instructions === null && !tools) return [];
  const functions = { name: 'functions', description: null, tools: tools?.map(toolOf) };
  const content = { type: 'developer_content', instructions, tools: tools ? { functions } : null };
  return [{ role: 'developer', content: [content] }];
}

function toolOf({ name, description = '', parameters }: Tool): object {
  return { name, description, parameters: parameters ?? null };
}

function referenceOf({ role, content, name, recipient, channel, contentType }: Message): object {
  const isFunction = recipient?.startsWith('functions.');
  const type = contentType ?? (isFunction ? 'json' : undefined);
  const isAnswer = role === 'assistant' && recipient === undefined;
  return defined({
    role,
    name,
    content: [{ type: 'text', text: content }],
    recipient: role === 'tool' ? 'assistant' : recipient,
    channel: role === 'user' ? undefined : (channel ?? (isAnswer ? 'final' : 'commentary')),
    content_type: type === 'json' ? '<|constrain|>json' : type,
  });
}

/** An object without the properties that are `undefined`. */
function defined<T extends object>(all: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(all).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}
