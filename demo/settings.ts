import { MAX_BYTES, MAX_CHATS } from './chat/chat-sessions.ts';
import type { ChatRecord } from './chats/chat-record.ts';
import { find } from './element.ts';
import { formatBytes } from './format.ts';
import { language, texts } from './language/texts.ts';
import { readLocal, storageKey, writeLocal } from './storage-key.ts';

/** The user's choices of how to generate. */
export interface Settings {
  readonly instructions: string;
  readonly reasoningEffort: 'low' | 'medium' | 'high';
  readonly temperature: number;
  readonly usesTools: boolean;
  /** Whether the user is asked before a tool runs. */
  readonly asksForTools: boolean;
  /** Whether the sessions of the latest chats are kept on the disk. */
  readonly keepsSessions: boolean;
}

type Stored = Partial<Settings>;

const STORAGE_KEY = 'settings';

/** The settings popover and the effort selector; choices are stored in this browser. */
export class SettingsView {
  readonly #instructions = find('instructions', HTMLTextAreaElement);
  readonly #chatInstructions = find('chat-instructions', HTMLTextAreaElement);
  readonly #temperature = find('temperature', HTMLInputElement);
  readonly #temperatureValue = find('temperature-value', HTMLOutputElement);
  readonly #tools = find('tools', HTMLInputElement);
  readonly #askTools = find('ask-tools', HTMLInputElement);
  readonly #keepSessions = find('keep-sessions', HTMLInputElement);
  readonly #kept = find('kept', HTMLElement);
  readonly #efforts = [...document.querySelectorAll<HTMLInputElement>('input[name=effort]')];
  #defaultTemperature = 1;
  #chatId = '';
  #chosen: Stored = readStored();

  /**
   * @param onChatInstructions called with the instructions for the chat that is shown.
   * @param onKeepSessions called when sessions are to be kept, or not any more.
   */
  constructor(onChatInstructions: (instructions: string) => void, onKeepSessions: () => void) {
    this.#show();
    this.#chatInstructions.addEventListener('input', () =>
      onChatInstructions(this.#chatInstructions.value),
    );
    this.#instructions.addEventListener('input', () =>
      this.#choose({ instructions: this.#instructions.value }),
    );
    this.#temperature.addEventListener('input', () =>
      this.#choose({ temperature: this.#temperature.valueAsNumber }),
    );
    this.#tools.addEventListener('change', () => this.#choose({ usesTools: this.#tools.checked }));
    this.#askTools.addEventListener('change', () =>
      this.#choose({ asksForTools: this.#askTools.checked }),
    );
    this.#keepSessions.addEventListener('change', () => {
      this.#choose({ keepsSessions: this.#keepSessions.checked });
      onKeepSessions();
    });
    for (const effort of this.#efforts)
      effort.addEventListener('change', () =>
        this.#choose({ reasoningEffort: effort.value as Settings['reasoningEffort'] }),
      );
    find('reset-settings', HTMLButtonElement).addEventListener('click', () => {
      this.#chosen = {};
      this.#choose({});
    });
  }

  /** The current settings. */
  get current(): Settings {
    return {
      instructions: '',
      reasoningEffort: 'medium',
      temperature: this.#defaultTemperature,
      usesTools: false,
      asksForTools: false,
      keepsSessions: true,
      ...this.#chosen,
    };
  }

  /** Whether the sessions of the latest chats are kept on the disk. */
  get keepsSessions(): boolean {
    return this.current.keepsSessions;
  }

  /** Shows how many bytes the kept sessions take. */
  showKept(bytes: number): void {
    const limit = formatBytes(MAX_BYTES);
    this.#kept.textContent = texts.settings.keepSessionsHint(formatBytes(bytes), MAX_CHATS, limit);
  }

  /** Sets the temperature to use if the user has chosen none: 0 for the tiny model, which otherwise rambles, else 1. */
  setDefaultTemperature(temperature: number): void {
    this.#defaultTemperature = temperature;
    this.#show();
  }

  /** Shows the instructions of the chat that is shown; those of the same chat stay while they are edited. */
  showChat({ id, instructions }: Pick<ChatRecord, 'id' | 'instructions'>): void {
    const isEdited = document.activeElement === this.#chatInstructions;
    if (id !== this.#chatId || !isEdited) this.#chatInstructions.value = instructions;
    this.#chatId = id;
  }

  #choose(choice: Stored): void {
    this.#chosen = { ...this.#chosen, ...choice };
    writeLocal(storageKey(STORAGE_KEY), JSON.stringify(this.#chosen));
    this.#show();
  }

  #show(): void {
    const { instructions, reasoningEffort, temperature } = this.current;
    const { usesTools, asksForTools, keepsSessions } = this.current;
    if (this.#instructions.value !== instructions) this.#instructions.value = instructions;
    this.#temperature.value = String(temperature);
    this.#temperatureValue.textContent = temperature.toLocaleString(language, {
      minimumFractionDigits: 1,
    });
    this.#tools.checked = usesTools;
    this.#askTools.checked = asksForTools;
    this.#keepSessions.checked = keepsSessions;
    for (const effort of this.#efforts) effort.checked = effort.value === reasoningEffort;
  }
}

function readStored(): Stored {
  try {
    const found: unknown = JSON.parse(readLocal(storageKey(STORAGE_KEY)) ?? '{}');
    if (typeof found !== 'object' || found === null) return {};
    const values = found as Readonly<Record<string, unknown>>;
    const { instructions, reasoningEffort, temperature } = values;
    const { usesTools, asksForTools, keepsSessions } = values;
    return {
      ...(typeof instructions === 'string' && { instructions }),
      ...((reasoningEffort === 'low' ||
        reasoningEffort === 'medium' ||
        reasoningEffort === 'high') && {
        reasoningEffort,
      }),
      ...(typeof temperature === 'number' &&
        temperature >= 0 &&
        temperature <= 2 && { temperature }),
      ...(typeof usesTools === 'boolean' && { usesTools }),
      ...(typeof asksForTools === 'boolean' && { asksForTools }),
      ...(typeof keepsSessions === 'boolean' && { keepsSessions }),
    };
  } catch {
    return {};
  }
}
