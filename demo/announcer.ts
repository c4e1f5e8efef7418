import { find } from './element.ts';

/** Announces text to screen readers, politely: short states while the model works, then the whole answer at once. */
export function announce(text: string): void {
  const region = find('announcer', HTMLElement);
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}
