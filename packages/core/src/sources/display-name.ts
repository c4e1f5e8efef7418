/** What messages call a source: local files by the name of their folder or GGUF file, others by their id. */
export function displayName(id: string): string {
  const [, name] = /^files:(.*)#[\da-f]+$/.exec(id) ?? [];
  return name === 'picked' ? 'the picked files' : (name ?? id);
}
