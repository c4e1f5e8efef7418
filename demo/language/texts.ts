import { readLocal, storageKey } from '../storage-key.ts';
import { english, type Texts } from './english.ts';

/** A language that the page speaks. */
export type Language = 'en' | 'de' | 'ja';

const OTHERS: Readonly<Record<Exclude<Language, 'en'>, () => Promise<Texts>>> = {
  de: async () => (await import('./german.ts')).german,
  ja: async () => (await import('./japanese.ts')).japanese,
};

/** Local storage key of the language that the user chose. */
export const LANGUAGE_KEY = 'language';

const isLanguage = (name: string | undefined): name is Language =>
  name === 'en' || (name !== undefined && Object.hasOwn(OTHERS, name));

/** The language that the user chose, or else the first of the browser's that the page speaks. Tests in Node have neither. */
function wantedLanguage(): Language {
  if (typeof location === 'undefined') return 'en';
  const chosen = readLocal(storageKey(LANGUAGE_KEY));
  const wanted = [chosen, ...navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase())];
  return wanted.find(isLanguage) ?? 'en';
}

const wanted: Language = wantedLanguage();
const loaded = wanted === 'en' ? english : await OTHERS[wanted]().catch(() => english);

/** The language of the page, for as long as it is open. */
export const language: Language = loaded === english ? 'en' : wanted;

/** The texts in the language of the page. */
export const texts: Texts = loaded;
