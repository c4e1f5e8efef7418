import { find } from '../element.ts';
import { storageKey, writeLocal } from '../storage-key.ts';
import { LANGUAGE_KEY, language, texts } from './texts.ts';

/**
 * Puts the texts of index.html, which are in English, in the language of the page, and lets the user choose another.
 *
 * @param reload called to reload the page in another language.
 */
export function localize(reload: () => void): void {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll<HTMLElement>('[data-text]'))
    node.textContent = textAt(node.dataset.text);
  for (const node of document.querySelectorAll<HTMLElement>('[data-placeholder]'))
    node.setAttribute('placeholder', textAt(node.dataset.placeholder));
  for (const node of document.querySelectorAll<HTMLElement>('[data-label]')) {
    const label = textAt(node.dataset.label);
    const { key = '' } = node.dataset;
    const keyName: unknown = Reflect.get(texts.shortcuts.names, key) ?? key;
    node.setAttribute('aria-label', label);
    if (node instanceof HTMLButtonElement) node.title = key ? `${label} (${keyName})` : label;
  }
  const choice = find('language', HTMLSelectElement);
  choice.value = language;
  choice.addEventListener('change', () => {
    writeLocal(storageKey(LANGUAGE_KEY), choice.value);
    reload();
  });
}

/** The text at a path such as `page.skip`. */
function textAt(path = ''): string {
  let value: unknown = texts;
  for (const name of path.split('.')) value = Reflect.get(Object(value), name);
  return String(value);
}
