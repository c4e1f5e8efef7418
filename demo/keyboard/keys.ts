/** What is read of a keyboard event. */
type Keys = Pick<KeyboardEvent, 'key' | 'shiftKey' | 'isComposing' | 'keyCode'>;

/** The key code of all keys that go to an input method. Safari tells the one that ends a composition only by it. */
const COMPOSING = 229;

/** Whether a key belongs to an input method, which has Enter, Escape and the arrows for itself. */
export function isComposing({ isComposing, keyCode }: Omit<Keys, 'key' | 'shiftKey'>): boolean {
  return isComposing || keyCode === COMPOSING;
}

/** Whether this key is pressed, without Shift, and does not belong to an input method. */
export function isKey(event: Keys, key: string): boolean {
  return event.key === key && !event.shiftKey && !isComposing(event);
}
