import type { ErrorCode } from 'ossicle';
import { element, icon, iconButton } from '../element.ts';
import { texts } from '../language/texts.ts';

/** A next step to offer after a failure. */
export type NextStep =
  | 'try-again'
  | 'load-again'
  | 'reload'
  | 'use-embedded'
  | 'choose-model'
  | 'manage-storage'
  | 'new-chat';

/** A failure as the page describes it. */
interface Failure {
  /** What happened, in a few words. */
  readonly headline: string;
  /** The error's own message. */
  readonly message: string;
  /** The steps to offer, best first. */
  readonly steps: readonly NextStep[];
}

const STEPS: Record<ErrorCode, readonly NextStep[]> = {
  'webgpu-unavailable': ['reload'],
  'device-unsuitable': ['use-embedded', 'choose-model'],
  'device-lost': ['load-again'],
  'out-of-memory': ['use-embedded', 'load-again'],
  'download-failed': ['try-again', 'choose-model'],
  integrity: ['try-again', 'manage-storage'],
  'storage-full': ['manage-storage', 'try-again'],
  'storage-unavailable': ['reload'],
  'model-in-use': ['manage-storage'],
  'format-invalid': ['choose-model', 'use-embedded'],
  'format-unsupported': ['choose-model', 'use-embedded'],
  'context-overflow': ['new-chat'],
  'answer-invalid': ['try-again'],
  'gpu-error': ['load-again', 'use-embedded'],
  'worker-failed': ['load-again', 'reload'],
  disposed: ['load-again'],
};

/** Describes an error for the user. */
function describeFailure(error: unknown): Failure {
  if (hasCode(error)) {
    const { code, message } = error;
    return { headline: texts.failure.headlines[code], message, steps: STEPS[code] };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { headline: texts.failure.headlines.other, message, steps: ['try-again', 'choose-model'] };
}

/** Whether an error is one of the library's, which is not loaded to find out: an error may be why it is not. */
function hasCode(error: unknown): error is Error & { readonly code: ErrorCode } {
  return error instanceof Error && 'code' in error && Object.hasOwn(STEPS, String(error.code));
}

/**
 * A card that says what failed and offers next steps.
 *
 * @param onDismiss called to remove the card; left out if there is nothing to return to.
 */
export function failureCard(
  error: unknown,
  onStep: (step: NextStep) => void,
  onDismiss?: () => void,
): HTMLElement {
  const { headline, message, steps } = describeFailure(error);
  return element(
    'section',
    { class: 'failure', role: 'alert' },
    icon('warning'),
    element(
      'div',
      {},
      element('h3', {}, headline),
      element('p', { tabindex: 0, role: 'group', 'aria-label': headline }, message),
      element(
        'div',
        { class: 'button-row' },
        ...steps.map((step, index) =>
          element(
            'button',
            {
              type: 'button',
              class: index === 0 ? 'button primary' : 'button',
              'data-step': step,
              onclick: () => onStep(step),
            },
            texts.failure.steps[step],
          ),
        ),
      ),
    ),
    ...(onDismiss ? [iconButton('close', texts.dismiss, onDismiss)] : []),
  );
}
