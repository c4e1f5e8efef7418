import { type ErrorCode, isOssicleError } from 'ossicle';
import { element, icon, iconButton } from '../element.ts';

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

const KNOWN: Record<ErrorCode, { headline: string; steps: readonly NextStep[] }> = {
  'webgpu-unavailable': { headline: 'WebGPU is not available here', steps: ['reload'] },
  'device-unsuitable': {
    headline: 'This GPU is too small for the model',
    steps: ['use-embedded', 'choose-model'],
  },
  'device-lost': { headline: 'The GPU was reset', steps: ['load-again'] },
  'out-of-memory': { headline: 'The GPU ran out of memory', steps: ['use-embedded', 'load-again'] },
  'download-failed': {
    headline: 'The model could not be loaded',
    steps: ['try-again', 'choose-model'],
  },
  integrity: { headline: 'The model’s files are damaged', steps: ['try-again', 'manage-storage'] },
  'storage-full': {
    headline: 'The browser’s storage is full',
    steps: ['manage-storage', 'try-again'],
  },
  'storage-unavailable': { headline: 'Models cannot be stored here', steps: ['reload'] },
  'model-in-use': { headline: 'The model is in use', steps: ['manage-storage'] },
  'format-invalid': {
    headline: 'This is not a gpt-oss checkpoint',
    steps: ['choose-model', 'use-embedded'],
  },
  'format-unsupported': {
    headline: 'This format cannot be read',
    steps: ['choose-model', 'use-embedded'],
  },
  'context-overflow': { headline: 'The conversation is too long', steps: ['new-chat'] },
  'answer-invalid': { headline: 'The model did not answer as asked', steps: ['try-again'] },
  'gpu-error': { headline: 'The GPU reported an error', steps: ['load-again', 'use-embedded'] },
  'worker-failed': { headline: 'The background worker stopped', steps: ['load-again', 'reload'] },
  disposed: { headline: 'The model is no longer loaded', steps: ['load-again'] },
};

const STEP_LABELS: Record<NextStep, string> = {
  'try-again': 'Try again',
  'load-again': 'Reload the model',
  reload: 'Reload the page',
  'use-embedded': 'Use the built-in model',
  'choose-model': 'Choose a model',
  'manage-storage': 'Manage storage',
  'new-chat': 'New chat',
};

/** Describes an error for the user. */
function describeFailure(error: unknown): Failure {
  if (isOssicleError(error)) {
    const known = KNOWN[error.code];
    return { ...known, message: error.message };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { headline: 'Something went wrong', message, steps: ['try-again', 'choose-model'] };
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
      element('p', {}, message),
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
            STEP_LABELS[step],
          ),
        ),
      ),
    ),
    ...(onDismiss ? [iconButton('close', 'Dismiss', onDismiss)] : []),
  );
}
