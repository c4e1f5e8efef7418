import { type ErrorCode, isOssicleError } from 'ossicle';
import { element, icon, iconButton } from './element.ts';

/** A step that a person can take next. */
export type NextStep =
  | 'try-again'
  | 'load-again'
  | 'reload'
  | 'use-embedded'
  | 'choose-model'
  | 'manage-storage'
  | 'new-chat';

/** A failure in the words of the page. */
interface Failure {
  /** What happened, in a few words. */
  readonly headline: string;
  /** The library's own sentence: what, numbers, what next. */
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
    headline: 'The model could not be fetched',
    steps: ['try-again', 'choose-model'],
  },
  integrity: { headline: 'The model arrived damaged', steps: ['try-again', 'manage-storage'] },
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
  'context-overflow': { headline: 'The conversation is too long', steps: ['new-chat'] },
  'gpu-error': { headline: 'The GPU reported an error', steps: ['load-again', 'use-embedded'] },
  'worker-failed': { headline: 'The worker stopped', steps: ['load-again', 'reload'] },
  disposed: { headline: 'The model is no longer loaded', steps: ['load-again'] },
};

const STEP_LABELS: Record<NextStep, string> = {
  'try-again': 'Try again',
  'load-again': 'Load the model again',
  reload: 'Reload the page',
  'use-embedded': 'Use the embedded model',
  'choose-model': 'Choose a model',
  'manage-storage': 'Manage storage',
  'new-chat': 'New chat',
};

/** Puts an error into words. */
function describeFailure(error: unknown): Failure {
  if (isOssicleError(error)) {
    const known = KNOWN[error.code];
    return { ...known, message: error.message };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { headline: 'That did not work', message, steps: ['try-again', 'choose-model'] };
}

/**
 * A card that says what failed and offers what to do.
 *
 * @param onDismiss where there is something to go on with: called to take the card away.
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
