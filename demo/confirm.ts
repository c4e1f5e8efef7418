import { element, find } from './element.ts';
import { texts } from './language/texts.ts';

/** A question for the user to confirm. */
export interface Question {
  /** The question itself. */
  readonly title: string;
  /** What happens on yes. */
  readonly detail: string;
  /** Label of the yes button. */
  readonly action: string;
  /** Whether yes deletes something. */
  readonly isDestructive?: boolean;
}

/** Asks the user to confirm; Escape and Cancel mean no. */
export function confirm(question: Question): Promise<boolean> {
  const dialog = find('confirm', HTMLDialogElement);
  dialog.replaceChildren(
    element(
      'form',
      { method: 'dialog' },
      element('h2', { id: 'confirm-title' }, question.title),
      element('p', {}, question.detail),
      element(
        'div',
        { class: 'button-row' },
        element('button', { class: 'button', value: 'cancel', autofocus: true }, texts.cancel),
        element(
          'button',
          { class: question.isDestructive ? 'button danger' : 'button primary', value: 'yes' },
          question.action,
        ),
      ),
    ),
  );
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
