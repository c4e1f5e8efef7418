/** The text of the system and developer messages. */

import {
  CHANNELS,
  type Channel,
  checkOneOf,
  type ToolDefinition,
  type ToolNamespace,
} from './message.ts';
import { renderComment, renderSchemaType, splitLines } from './schema-type.ts';
import { createToolNames, FUNCTIONS } from './tool-names.ts';

/** How much the model reasons before it answers. */
export type ReasoningEffort = 'low' | 'medium' | 'high';

/** The content of the system and developer messages. */
export interface PromptOptions {
  /** Instructions from the application. They precede those in leading `system` and `developer` messages. */
  readonly instructions?: string;
  /** How much the model reasons. Default: `medium`. */
  readonly reasoningEffort?: ReasoningEffort;
  /** Functions that the model may call. */
  readonly tools?: readonly ToolDefinition[];
  /** Built-in tools, described in the system message. */
  readonly systemTools?: readonly ToolNamespace[];
  /** Asks for a JSON answer that matches a schema. This guides the model; it does not constrain decoding. */
  readonly responseFormat?: ResponseFormat;
  /** Today's date, as YYYY-MM-DD. Default: none. */
  readonly currentDate?: string;
  /** The model's knowledge cutoff; `null` omits it. Default: `2024-06`. */
  readonly knowledgeCutoff?: string | null;
  /** The first line of the system message. Default: the one that gpt-oss was trained with. */
  readonly identity?: string;
  /** Channels that the model may use. Default: all. */
  readonly channels?: readonly Channel[];
}

/** The format of the answer. */
export interface ResponseFormat {
  /** Only `json` is supported. */
  readonly type: 'json';
  /** A JSON Schema, as plain data. Its `description` becomes the description of the format. */
  readonly schema: { readonly [key: string]: unknown };
  /** The name of the format in the prompt. Default: `response`. */
  readonly name?: string;
}

const IDENTITY = 'You are ChatGPT, a large language model trained by OpenAI.';
const KNOWLEDGE_CUTOFF = '2024-06';
const REASONING_EFFORTS: readonly ReasoningEffort[] = ['low', 'medium', 'high'];

/**
 * Renders the content of the system message.
 *
 * @throws RangeError if the reasoning effort or a channel is unknown.
 */
export function renderSystemText(options: PromptOptions): string {
  const { identity = IDENTITY, knowledgeCutoff = KNOWLEDGE_CUTOFF, currentDate } = options;
  const { reasoningEffort = 'medium', channels = CHANNELS, tools = [], systemTools = [] } = options;
  checkOneOf('reasoningEffort', reasoningEffort, REASONING_EFFORTS);
  for (const [index, channel] of channels.entries()) {
    checkOneOf(`channels[${index}]`, channel, CHANNELS);
  }
  const head = [
    identity,
    knowledgeCutoff === null ? '' : `Knowledge cutoff: ${knowledgeCutoff}`,
    currentDate === undefined ? '' : `Current date: ${currentDate}`,
  ];
  const rules = [
    `# Valid channels: ${channels.join(', ')}. Channel must be included for every message.`,
    tools.length === 0
      ? ''
      : `Calls to these tools must go to the commentary channel: '${FUNCTIONS}'.`,
  ];
  return joinPresent('\n\n', [
    joinPresent('\n', head),
    `Reasoning: ${reasoningEffort}`,
    renderTools(systemTools),
    channels.length === 0 ? '' : joinPresent('\n', rules),
  ]);
}

/** Renders the content of the developer message; empty if no option needs one. */
export function renderDeveloperText(options: PromptOptions): string {
  const { instructions = '', tools = [], responseFormat } = options;
  return joinPresent('\n\n', [
    instructions === '' ? '' : renderInstructions(instructions),
    tools.length === 0 ? '' : renderTools([{ name: FUNCTIONS, tools }]),
    responseFormat === undefined ? '' : renderResponseFormat(responseFormat),
  ]);
}

/** Renders instructions as a section of a developer message. */
export function renderInstructions(instructions: string): string {
  return `# Instructions\n\n${instructions}`;
}

function renderTools(namespaces: readonly ToolNamespace[]): string {
  if (namespaces.length === 0) return '';
  const sorted = [...namespaces].sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
  return ['# Tools', ...sorted.map(renderNamespace)].join('\n\n');
}

function renderNamespace({ name, description = '', tools = [] }: ToolNamespace): string {
  if (tools.length === 0) return [`## ${name}\n`, ...splitLines(description)].join('\n');
  const { identifiers } = createToolNames(tools);
  const types = tools.map((tool, index) => `${renderTool(tool, identifiers[index]!)}\n\n`);
  return `## ${name}\n\n${renderComment(description)}namespace ${name} {\n\n${types.join('')}} // namespace ${name}`;
}

function renderTool(tool: ToolDefinition, identifier: string): string {
  const { name, description = '', parameters } = tool;
  const place = `The schema of the tool ${JSON.stringify(name)}`;
  const isAbsent = parameters === undefined || parameters === null;
  const argument = isAbsent ? '' : `_: ${renderSchemaType(parameters, place)}`;
  return `${renderComment(description)}type ${identifier} = (${argument}) => any;`;
}

function renderResponseFormat({ type, schema, name = 'response' }: ResponseFormat): string {
  if (type !== 'json' || typeof schema !== 'object' || schema === null) {
    throw new TypeError("responseFormat must have the type 'json' and a schema.");
  }
  const { description, ...rest } = schema;
  const comment = typeof description === 'string' ? renderComment(description) : '';
  return `# Response Formats\n\n## ${name}\n\n${comment}${JSON.stringify(rest)}`;
}

/** Joins the parts that are not empty. */
export function joinPresent(separator: string, parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(separator);
}
