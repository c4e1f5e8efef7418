import { element, find, icon } from './element.ts';
import { formatParameters } from './format.ts';
import { texts } from './language/texts.ts';
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
  ...texts.welcome.questions.map((prompt) => ({ prompt })),
  { prompt: texts.welcome.toolQuestion, usesTools: true },
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
    element('h2', { id: 'welcome-title' }, texts.welcome.title),
    isEmbedded ? embeddedText(actions) : generalText(loaded),
    element(
      'ul',
      { class: 'suggestions', 'aria-label': texts.welcome.suggestions },
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
    element('p', {}, element('strong', {}, 'gpt-oss-nano'), texts.welcome.nano),
    element(
      'p',
      {},
      texts.welcome.real,
      element(
        'button',
        { type: 'button', class: 'link-button', onclick: loadLarge },
        texts.welcome.loadLarge,
      ),
      texts.welcome.costs,
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
      texts.welcome.general(formatParameters(model.info.parameterCount)),
    ),
  );
}

function logo(): SVGSVGElement {
  const mark = icon('logo');
  mark.setAttribute('class', 'logo large');
  return mark;
}
