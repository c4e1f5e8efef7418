import { find } from './element.ts';

/**
 * Tells screen readers something, politely: short states while the model works, and the whole answer once it is
 * there, instead of every token.
 */
export function announce(text: string): void {
  const region = find('announcer', HTMLElement);
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}
