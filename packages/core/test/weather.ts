import type { ToolDefinition } from '@ossicle/harmony';

/** A tool that gpt-oss-nano was trained to call, as it was declared then. It is always 21 degrees and sunny. */
export const WEATHER: ToolDefinition = {
  name: 'get_weather',
  description: 'Get the weather for a city.',
  parameters: {
    type: 'object',
    properties: { location: { type: 'string', description: 'City name' } },
    required: ['location'],
  },
  execute: () => ({ temperature: 21, condition: 'sunny' }),
};
