import { element, find } from './element.ts';

/** What a person is asked. */
export interface Question {
  /** The question itself. */
  readonly title: string;
  /** What follows from a yes. */
  readonly detail: string;
  /** The label of yes. */
  readonly action: string;
  /** Whether yes destroys something. */
  readonly isDestructive?: boolean;
}

/** Asks before something that cannot be undone, or that costs much; Escape and Cancel say no. */
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
        element('button', { class: 'button', value: 'cancel', autofocus: true }, 'Cancel'),
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
