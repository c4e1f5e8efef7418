// Answers the question in the URL, headless.html?question=..., with the embedded model. <body data-state> holds the
// state (loading, generating, done or failed); the paragraphs hold the text.
import { type LoadProgress, load } from 'ossicle';

function showStatus(text: string): void {
  document.getElementById('status')!.textContent = text;
}

function append(id: 'reasoning' | 'answer', text: string): void {
  document.getElementById(id)!.append(text);
}

function enter(state: 'generating' | 'done' | 'failed', status: string): void {
  showStatus(status);
  document.body.dataset.state = state;
}

function describe({ phase, loadedBytes, totalBytes }: LoadProgress): string {
  return `${phase} ${(loadedBytes / 1e6).toFixed(1)} of ${(totalBytes / 1e6).toFixed(1)} MB`;
}

async function answer(question: string): Promise<void> {
  const model = await load('./models/gpt-oss-nano/', {
    onProgress: (progress) => showStatus(describe(progress)),
  });
  enter('generating', 'answering');
  for await (const event of model.generate(question, { temperature: 0 })) {
    if (event.type === 'reasoning-delta') append('reasoning', event.text);
    if (event.type === 'text-delta') append('answer', event.text);
    if (event.type === 'finish') enter('done', `finished: ${event.reason}`);
  }
  await model.dispose();
}

const question = new URLSearchParams(location.search).get('question') ?? '';
if (question === '')
  enter('failed', 'No question given: open headless.html?question=What+is+17+%2B+25%3F');
else
  answer(question).catch((error: unknown) =>
    enter('failed', error instanceof Error ? error.message : String(error)),
  );
