import { parseMirror } from './checkpoint-source.ts';
import { element, icon } from './element.ts';

/**
 * The fields that say how Hugging Face is asked. The token stays in the memory of this page: it is not stored, not part
 * of any address, and not in a field that the browser offers to save.
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
   * @param mirror the one that the page was opened for.
   * @param onChange called as the person types.
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
      element('summary', {}, icon('chevron'), 'Access token and mirror for Hugging Face'),
      element('label', { for: 'hub-token' }, 'Access token'),
      this.#token,
      element(
        'small',
        { id: 'hub-token-hint' },
        'For private or gated repositories. It stays in this page’s memory until you close or reload it, is never stored, and goes to Hugging Face or its mirror alone. Use one that may only read.',
      ),
      element('label', { for: 'hub-mirror' }, 'Mirror'),
      this.#mirror,
      element(
        'small',
        { id: 'hub-mirror-hint' },
        'An address with the same paths as huggingface.co. It is not stored either; the page opens again to be allowed to connect to it, with the mirror in its address.',
      ),
    );
  }

  /** The access token, if there is one. */
  get token(): string | undefined {
    return this.#token.value.trim() || undefined;
  }

  /** The mirror, if there is one. */
  get mirror(): string | undefined {
    return parseMirror(this.#mirror.value);
  }

  /** Whether the mirror, if any, is an address. */
  get isValid(): boolean {
    return this.#mirror.value.trim() === '' || this.mirror !== undefined;
  }
}
