import { formatBytes, formatCount, formatPercent, formatTokensPerSecond } from '../../format.ts';
import { texts } from '../../language/texts.ts';
import { adapterName } from '../../status-line.ts';
import type { LoadedModel } from '../model-slot.ts';
import { weightBytesPerToken } from './load-settings.ts';
import { readMemorySpeed } from './memory-speed.ts';

/** What the model reads: about 600 tokens. */
const PROMPT = `${'The stapes is the smallest bone of the human body. '.repeat(50)}Write an essay on it.`;
const ANSWER_TOKENS = 64;

/**
 * Measures how fast the model reads a prompt and writes an answer here, and compares that with what the memory of the GPU
 * allows at most: each token reads all weights that it uses.
 */
export async function measureSpeed({ model, checkpoint }: LoadedModel): Promise<string> {
  const session = model.createSession();
  try {
    const options = { maxTokens: ANSWER_TOKENS, temperature: 0 };
    const { usage, timings } = await session.generate(PROMPT, options).result;
    const t = texts.measured;
    const { prefillTokensPerSecond, decodeTokensPerSecond } = timings;
    const { info } = model;
    const bytesPerToken = weightBytesPerToken(info, info.dense);
    const bytesPerSecond = readMemorySpeed(info.adapter, bytesPerToken);
    const lines = [
      `${checkpoint.name}, ${adapterName(info.adapter)}`,
      t.reading(formatCount(usage.promptTokens), formatTokensPerSecond(prefillTokensPerSecond)),
      t.writing(formatCount(usage.completionTokens), formatTokensPerSecond(decodeTokensPerSecond)),
      t.perToken(formatBytes(bytesPerToken)),
    ];
    if (bytesPerSecond !== undefined) {
      const most = bytesPerSecond / bytesPerToken;
      lines.push(
        t.atMost(formatTokensPerSecond(most), formatBytes(bytesPerSecond)),
        t.share(formatPercent(decodeTokensPerSecond / most)),
      );
    }
    return lines.join('\n');
  } finally {
    await session.dispose();
  }
}
