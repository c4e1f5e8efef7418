// llama.cpp by the binaries of node-llama-cpp, in a process of its own: `node llama.mjs PACKAGE MODEL`. Its messages:
// the device first, then, for each [tokens, newTokens], the milliseconds of evaluating a fresh prompt and decoding.
const [, , packageEntry, modelPath] = process.argv;
const { getLlama } = await import(packageEntry);
const llama = await getLlama({ gpu: 'auto', build: 'never' });
const model = await llama.loadModel({ modelPath });
const sequence = (await model.createContext({ contextSize: 1024 })).getSequence();
process.on('message', async ([tokens, newTokens]) => {
  const prompt = Array.from({ length: tokens }, (_, i) => (i * 37) % 2000);
  await sequence.clearHistory();
  const startMs = performance.now();
  let left = newTokens;
  for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    left--;
    if (left === 0) break;
  }
  process.send(performance.now() - startMs);
});
process.send(llama.gpu === false ? 'the CPU' : llama.gpu);
