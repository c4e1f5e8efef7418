import type { ToolDefinition } from '@ossicle/harmony';

// The definitions that gpt-oss was trained with, to the byte.

/** What the model reads on `browser`. */
export const DESCRIPTION = `Tool for browsing.
The \`cursor\` appears in brackets before each browsing display: \`[{cursor}]\`.
Cite information from the tool using the following format:
\`【{cursor}†L{line_start}(-L{line_end})?】\`, for example: \`【6†L9-L11】\` or \`【8†L3】\`.
Do not quote more than 10 words directly from the tool output.
sources=web (default: web)`;

/** `browser.search` */
export const SEARCH: ToolDefinition = {
  name: 'search',
  description: 'Searches for information related to `query` and displays `topn` results.',
  parameters: {
    type: 'object',
    properties: {
      query: { type: 'string' },
      topn: { type: 'number', default: 10 },
      source: { type: 'string' },
    },
    required: ['query'],
  },
};

/** `browser.open` */
export const OPEN: ToolDefinition = {
  name: 'open',
  description: `Opens the link \`id\` from the page indicated by \`cursor\` starting at line number \`loc\`, showing \`num_lines\` lines.
Valid link ids are displayed with the formatting: \`【{id}†.*】\`.
If \`cursor\` is not provided, the most recent page is implied.
If \`id\` is a string, it is treated as a fully qualified URL associated with \`source\`.
If \`loc\` is not provided, the viewport will be positioned at the beginning of the document or centered on the most relevant passage, if available.
Use this function without \`id\` to scroll to a new location of an opened page.`,
  parameters: {
    type: 'object',
    properties: {
      id: { type: ['number', 'string'], default: -1 },
      cursor: { type: 'number', default: -1 },
      loc: { type: 'number', default: -1 },
      num_lines: { type: 'number', default: -1 },
      view_source: { type: 'boolean', default: false },
      source: { type: 'string' },
    },
  },
};

/** `browser.find` */
export const FIND: ToolDefinition = {
  name: 'find',
  description:
    'Finds exact matches of `pattern` in the current page, or the page given by `cursor`.',
  parameters: {
    type: 'object',
    properties: { pattern: { type: 'string' }, cursor: { type: 'number', default: -1 } },
    required: ['pattern'],
  },
};
