import { type ReplyActions, ReplyView } from '../answer/reply-view.ts';
import { type ChatRecord, type Turn, versionsOf } from '../chats/chat-record.ts';
import { element } from '../element.ts';
import { type PromptActions, PromptView } from './prompt-view.ts';

/** A question and its answer as they are shown. */
export class TurnView {
  readonly element: HTMLElement;
  readonly reply: ReplyView;
  readonly id: string;
  readonly #prompt: PromptView;
  #shown: Turn | undefined;
  #answered = 'nowhere';

  constructor(turn: Turn, actions: PromptActions & ReplyActions) {
    this.id = turn.id;
    this.#prompt = new PromptView(turn, actions);
    this.reply = new ReplyView(actions);
    this.element = element('div', { class: 'turn' }, this.#prompt.element, this.reply.element);
  }

  /**
   * Shows the turn as it is stored, unless it is generated here, and which of its versions it is.
   *
   * @param answered where the turn is being answered: here, in another tab, or nowhere any more.
   */
  update(chat: ChatRecord, turn: Turn, answered: 'here' | 'elsewhere' | 'nowhere'): void {
    const versions = versionsOf(chat, turn);
    const index = versions.findIndex(({ id }) => id === turn.id);
    this.#prompt.showVersions(index, versions.length);
    // A live answer shows its own end.
    const wasShown = this.#answered === answered || this.#answered === 'here';
    const isShown = turn === this.#shown && wasShown;
    if (answered === 'elsewhere' && !isShown) this.reply.showElsewhere(turn);
    if (answered === 'nowhere' && !isShown) this.reply.show(turn);
    this.#shown = turn;
    this.#answered = answered;
  }
}
