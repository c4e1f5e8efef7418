import type { Channel, Message } from '@ossicle/harmony';
import type { GenerateEvent, GenerateOptions, GenerateResult } from '../types/generate.ts';

/** The result of an aborted generation whose worker never answered, from the events that arrived. */
export function abortedResult(
  events: readonly GenerateEvent[],
  { tools = [] }: GenerateOptions,
  elapsedMs: number,
): GenerateResult {
  const textOf = (...channels: Channel[]): string =>
    events
      .map((event) => {
        if (event.type !== 'reasoning-delta' && event.type !== 'text-delta') return '';
        const channel = event.type === 'text-delta' ? event.channel : 'analysis';
        return channels.includes(channel) ? event.text : '';
      })
      .join('');
  const toolCalls = events
    .filter((event) => event.type === 'tool-call')
    .map(({ type: _, ...call }) => call);
  const calls = toolCalls.map(({ name, inputText }): Message => {
    const recipient = tools.some((tool) => tool.name === name) ? `functions.${name}` : name;
    return { role: 'assistant', channel: 'commentary', recipient, content: inputText };
  });
  const say = (channel: Channel): Message => ({
    role: 'assistant',
    channel,
    content: textOf(channel),
  });
  const messages = [say('analysis'), say('commentary'), ...calls, say('final')];
  return {
    text: textOf('final'),
    reasoning: textOf('analysis'),
    toolCalls,
    messages: messages.filter(({ content, recipient }) => content !== '' || recipient),
    reason: 'aborted',
    usage: { promptTokens: 0, reusedTokens: 0, completionTokens: 0, reasoningTokens: 0 },
    timings: {
      timeToFirstTokenMs: elapsedMs,
      prefillMs: 0,
      decodeMs: 0,
      prefillTokensPerSecond: 0,
      decodeTokensPerSecond: 0,
    },
  };
}
