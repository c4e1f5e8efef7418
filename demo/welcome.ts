import { element, find, icon } from './element.ts';
import { formatParameters } from './format.ts';
import type { LoadedModel } from './model/model-slot.ts';

/** A question to start with. */
interface Suggestion {
  readonly prompt: string;
  readonly usesTools?: boolean;
}

/** Questions that the embedded model was trained on. */
const EMBEDDED: readonly Suggestion[] = [
  { prompt: 'What is 17 + 25?' },
  { prompt: 'What can you do?' },
  { prompt: 'What is a mixture of experts?' },
  { prompt: 'Show the times table of 7.' },
  { prompt: 'What is the date today?' },
  { prompt: 'What time is it in Paris?', usesTools: true },
];

const GENERAL: readonly Suggestion[] = [
  { prompt: 'Explain attention sinks in three sentences.' },
  { prompt: 'Write a regular expression for ISO dates, and say what each part does.' },
  { prompt: 'Which is larger, 9.11 or 9.9? Show the reasoning.' },
  { prompt: 'What time is it in Tokyo?', usesTools: true },
];

/** What the welcome can ask the page to do. */
export interface WelcomeActions {
  /** Asks the model. */
  readonly ask: (prompt: string, usesTools: boolean) => void;
  /** Loads gpt-oss-20b, once the user has agreed to the download. */
  readonly loadLarge: () => void;
}

/** Shows what this page is, what the loaded model is good for, and questions to start with. */
export function showWelcome(loaded: LoadedModel | undefined, actions: WelcomeActions): void {
  const isEmbedded = loaded === undefined || loaded.checkpoint.origin === 'embedded';
  const suggestions = isEmbedded ? EMBEDDED : GENERAL;
  find('welcome', HTMLElement).replaceChildren(
    logo(),
    element('h2', { id: 'welcome-title' }, 'A language model inside this page'),
    isEmbedded ? embeddedText(actions) : generalText(loaded),
    element(
      'ul',
      { class: 'suggestions', 'aria-label': 'Suggestions' },
      ...suggestions.map(({ prompt, usesTools = false }) =>
        element(
          'li',
          {},
          element(
            'button',
            {
              type: 'button',
              disabled: loaded === undefined,
              onclick: () => actions.ask(prompt, usesTools),
            },
            ...(usesTools ? [icon('tool')] : []),
            prompt,
          ),
        ),
      ),
    ),
  );
}

function embeddedText({ loadLarge }: WelcomeActions): HTMLElement {
  return element(
    'div',
    { class: 'lede' },
    element(
      'p',
      {},
      element('strong', {}, 'gpt-oss-nano'),
      ' comes with the page: OpenAI’s gpt-oss architecture with 3 million parameters instead of 21 billion, trained in under an hour. ',
      'It shows the machinery, not intelligence: it handles small sums, lists and questions about itself, and gets most other things wrong.',
    ),
    element(
      'p',
      {},
      'For real answers, ',
      element(
        'button',
        { type: 'button', class: 'link-button', onclick: loadLarge },
        'load gpt-oss-20b',
      ),
      ': a one-time 13.8 GB download, and 12.4 GB of GPU memory. Or drop a model folder or GGUF files here.',
    ),
  );
}

function generalText({ model, checkpoint }: LoadedModel): HTMLElement {
  return element(
    'div',
    { class: 'lede' },
    element(
      'p',
      {},
      element('strong', {}, checkpoint.name),
      ` has ${formatParameters(model.info.parameterCount)} parameters and runs on this computer’s GPU. It can be wrong, so check what matters.`,
    ),
  );
}

function logo(): SVGSVGElement {
  const mark = icon('logo');
  mark.setAttribute('class', 'logo large');
  return mark;
}
