import { element, icon } from '../element.ts';
import { texts } from '../language/texts.ts';
import { parseMirror } from './checkpoint-source.ts';

/**
 * The fields for an access token and a mirror of Hugging Face. The token stays in this page's memory: it is not stored,
 * not part of any URL, and not in a field that the browser offers to save.
 */
export class HubAccess {
  readonly element: HTMLDetailsElement;
  readonly #token = element('input', {
    id: 'hub-token',
    class: 'is-secret',
    type: 'text',
    placeholder: 'hf_…',
    'aria-describedby': 'hub-token-hint',
    ...{ spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off' },
  });
  readonly #mirror = element('input', {
    id: 'hub-mirror',
    type: 'text',
    inputmode: 'url',
    placeholder: 'https://huggingface.co',
    'aria-describedby': 'hub-mirror-hint',
    ...{ spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off' },
  });

  /**
   * @param mirror the mirror the page was opened for.
   * @param onChange called as the user types.
   */
  constructor(mirror: string | undefined, onChange: () => void) {
    this.#mirror.value = mirror ?? '';
    for (const field of [this.#token, this.#mirror])
      field.addEventListener('input', () => {
        this.#mirror.setAttribute('aria-invalid', String(!this.isValid));
        onChange();
      });
    this.element = element(
      'details',
      { class: 'hub-access', open: mirror !== undefined },
      element('summary', {}, icon('chevron'), texts.hub.title),
      element('label', { for: 'hub-token' }, texts.hub.token),
      this.#token,
      element('small', { id: 'hub-token-hint' }, texts.hub.tokenHint),
      element('label', { for: 'hub-mirror' }, texts.hub.mirror),
      this.#mirror,
      element('small', { id: 'hub-mirror-hint' }, texts.hub.mirrorHint),
    );
  }

  /** The access token, if any. */
  get token(): string | undefined {
    return this.#token.value.trim() || undefined;
  }

  /** The base URL of the mirror, if any. */
  get mirror(): string | undefined {
    return parseMirror(this.#mirror.value);
  }

  /** Whether the mirror field is empty or holds a valid URL. */
  get isValid(): boolean {
    return this.#mirror.value.trim() === '' || this.mirror !== undefined;
  }
}
