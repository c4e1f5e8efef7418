import { find } from '../element.ts';

const FOCUSABLE =
  'button:not(:disabled), input:not(:disabled), textarea, select, summary, a[href], [tabindex="0"]';

/**
 * Moves the focus to what is nearest when the element that has it goes: otherwise it falls to the page, and a keyboard
 * begins at the top again.
 */
export function keepFocus(): void {
  let focused: Element | undefined;
  /** What the element is in, innermost first: once it is gone, it does not tell. */
  let around: readonly Element[] = [];
  document.addEventListener('focusin', ({ target }) => {
    focused = target instanceof Element ? target : undefined;
    around = focused ? [...ancestors(focused)] : [];
  });
  document.addEventListener('focusout', () =>
    setTimeout(() => {
      const isLeft = document.activeElement === document.body && focused && isThere(focused);
      if (isLeft) focused = undefined; // the user has clicked beside it
    }),
  );
  const restore = (): void => {
    const { activeElement } = document;
    if (focused === undefined || isThere(focused)) return;
    if (activeElement !== document.body && activeElement !== focused) return;
    const place = around.find((each) => isThere(each)) ?? document.querySelector('dialog[open]');
    const nearest = [...(place?.querySelectorAll<HTMLElement>(FOCUSABLE) ?? [])].find(isThere);
    (nearest ?? find('prompt', HTMLTextAreaElement)).focus({ preventScroll: true });
  };
  new MutationObserver(() => {
    // Later, because a dialog that closes gives the focus back itself.
    if (focused !== undefined && !isThere(focused)) setTimeout(restore);
  }).observe(document.body, {
    ...{ childList: true, subtree: true, attributeFilter: ['hidden', 'open'] },
  });
}

/** The elements around an element, up to a part of the page. */
function* ancestors(element: Element): Generator<Element> {
  for (let { parentElement } = element; parentElement; { parentElement } = parentElement) {
    if (parentElement.matches('body, main, .dock')) return;
    yield parentElement;
  }
}

const isThere = (element: Element): boolean => element.isConnected && element.checkVisibility();
