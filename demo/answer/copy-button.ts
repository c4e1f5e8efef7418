import { announce } from '../announcer.ts';
import { icon, iconButton } from '../element.ts';
import { texts } from '../language/texts.ts';

const SHOWN_MS = 1600;

/** A button that copies text and confirms it. */
export function copyButton(label: string, text: () => string): HTMLButtonElement {
  const button = iconButton('copy', label, () => {
    navigator.clipboard.writeText(text()).then(
      () => show('check', texts.copied),
      () => show('warning', texts.copyBlocked),
    );
  });
  const show = (name: string, message: string): void => {
    button.replaceChildren(icon(name));
    announce(message);
    setTimeout(() => button.replaceChildren(icon('copy')), SHOWN_MS);
  };
  return button;
}
