/**
 * The Harmony chat format of gpt-oss: tokenizer, renderer for conversations, and streaming parser for model output.
 */
export {
  createHeaderGrammar,
  type HeaderGrammar,
  type HeaderGrammarOptions,
  type ToolChoice,
} from './header-grammar.ts';
export type {
  Channel,
  Message,
  Role,
  ToolDefinition,
  ToolNamespace,
} from './message.ts';
export { createParser, type HarmonyParser, type ParserEvent, type ParserOptions } from './parse.ts';
export type { PromptOptions, ReasoningEffort, ResponseFormat } from './prompt-text.ts';
export {
  type ConversationOptions,
  type MessageOptions,
  renderConversation,
  renderMessages,
} from './render.ts';
export { renderSchemaType } from './schema-type.ts';
export { type SpecialTokens, specialTokens, stopTokens } from './special-tokens.ts';
export { createTokenizer, type TokenDecoder, type Tokenizer } from './tokenizer/tokenizer.ts';
export { parseToolArguments, type ToolArguments } from './tool-arguments.ts';
export { createToolNames, type ToolNames } from './tool-names.ts';
