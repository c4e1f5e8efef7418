// SHA-256 of published weights, for sources that do not tell them.

const GPT_OSS_20B: Readonly<Record<string, string>> = {
  'model-00000-of-00002.safetensors':
    '16d0f997dcfc4462089d536bffe51b4bcea2f872f5c430be09ef8ed392312427',
  'model-00001-of-00002.safetensors':
    '4fbe328ab445455d6f58dc73852b85873bd626986310abd91cd4d2ce3245eaea',
  'model-00002-of-00002.safetensors':
    'a18106b209e9ab35c3406db4f6f12a927364a058b21e9d1373d682e20674b303',
  'original/model.safetensors': '3340a61d1a0391e8c5b5d3463d18d4c48129a84bbc04a554c762c99020aa06ed',
  'tokenizer.json': '0614fe83cadab421296e664e1f48f4261fa8fef6e03e63bb75c20f38e37d07d3',
};

/** The hashes that this library knows by itself, by the model's id; files by their paths. A mirror cannot change them. */
export const PUBLISHED_HASHES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'openai/gpt-oss-20b@main': GPT_OSS_20B,
};
