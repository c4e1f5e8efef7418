import { find } from '../element.ts';

const NEAR_PX = 80;

/** Keeps the end of the conversation in view while it grows, unless the user has scrolled away from it. */
export function followEnd(): void {
  const main = find('main', HTMLElement);
  const conversation = find('conversation', HTMLElement);
  const jump = find('jump', HTMLButtonElement);
  let isFollowing = true;
  const toEnd = (): void => main.scrollTo({ top: main.scrollHeight, behavior: 'instant' });
  main.addEventListener('scroll', () => {
    isFollowing = main.scrollHeight - main.scrollTop - main.clientHeight < NEAR_PX;
    jump.hidden = isFollowing;
  });
  jump.addEventListener('click', () => {
    isFollowing = true;
    toEnd();
    find('prompt', HTMLTextAreaElement).focus({ preventScroll: true });
  });
  const observer = new ResizeObserver(() => {
    const isEditing = conversation.querySelector('.prompt-editor') !== null;
    if (isFollowing && !isEditing && conversation.childElementCount > 0) toEnd();
  });
  observer.observe(conversation);
  observer.observe(main);
}
