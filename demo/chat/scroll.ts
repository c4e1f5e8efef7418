import { find } from '../element.ts';

const NEAR_PX = 80;

/** Keeps the end of the conversation in view while it grows, unless the user has scrolled away from it. */
export function followEnd(): void {
  const main = find('main', HTMLElement);
  const conversation = find('conversation', HTMLElement);
  const jump = find('jump', HTMLButtonElement);
  let isFollowing = true;
  let lastTop = 0;
  const toEnd = (): void => main.scrollTo({ top: main.scrollHeight, behavior: 'instant' });
  main.addEventListener('scroll', () => {
    const isNear = main.scrollHeight - main.scrollTop - main.clientHeight < NEAR_PX;
    // What has only grown below, or lost room to the message field, was not scrolled away from.
    if (isNear || main.scrollTop < lastTop) isFollowing = isNear;
    lastTop = main.scrollTop;
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
