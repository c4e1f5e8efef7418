import type { ToolNamespace } from './message.ts';

/** The namespace of the application's functions. */
export const FUNCTIONS = 'functions';

/** Maps between the names of tools and the identifiers that the model sees. */
export interface ToolNames {
  /** The identifiers, in the order of the tools. */
  readonly identifiers: readonly string[];
  /** The identifier of a tool. An unknown name is converted to an identifier too. */
  identifierOf(name: string): string;
  /** The name of the tool that a recipient calls, with or without `functions.`; `undefined` if there is none. */
  nameOf(recipient: string): string | undefined;
  /** The built-in namespace that a recipient calls; `undefined` if there is none, or if the recipient is a function. */
  namespaceOf(recipient: string): ToolNamespace | undefined;
  /**
   * Whether the content of a call is JSON, for `parseToolArguments`. It is for functions and for namespaces with tools,
   * even if the model calls it `code`; it is not for namespaces without tools, such as `python`. For other recipients
   * the content type decides.
   */
  isJsonCall(recipient: string, contentType?: string): boolean;
}

/**
 * Maps the names of tools to TypeScript identifiers, the form in which the model sees them: spaces, `-` and `.` become
 * `_`, other invalid characters are dropped, a leading digit is prefixed with `_`, and a duplicate gets a number.
 * Built-in tools, given as for `systemTools` of the prompt, keep their names.
 *
 * @throws RangeError if two tools have the same name, or a tool has that of a built-in one.
 */
export function createToolNames(
  tools: readonly { readonly name: string }[],
  systemTools: readonly ToolNamespace[] = [],
): ToolNames {
  const identifiers = new Map<string, string>();
  const names = new Map<string, string>();
  // Names that already are identifiers go first, so that they stay unchanged.
  const ordered = [...tools].sort(
    (a, b) => Number(isIdentifier(b.name)) - Number(isIdentifier(a.name)),
  );
  for (const { name } of ordered) {
    if (identifiers.has(name)) throw new RangeError(`Two tools are named ${JSON.stringify(name)}.`);
    const base = toIdentifier(name);
    let identifier = base;
    for (let count = 2; names.has(identifier); count++) identifier = `${base}_${count}`;
    const builtIn = systemTools.find((tools) =>
      [name, identifier].some((own) => isWithin(own, tools.name)),
    );
    if (builtIn) {
      throw new RangeError(
        `The tool ${JSON.stringify(name)} has the name of the built-in ${JSON.stringify(builtIn.name)}: calls of the two ` +
          'could not be told apart. Rename the tool.',
      );
    }
    identifiers.set(name, identifier);
    names.set(identifier, name);
  }
  const nameOf = (recipient: string): string | undefined => {
    const name = bareName(recipient);
    return names.get(name) ?? (identifiers.has(name) ? name : undefined);
  };
  const isFunction = (recipient: string): boolean =>
    isFunctionName(recipient) || nameOf(recipient) !== undefined;
  const namespaceOf = (recipient: string): ToolNamespace | undefined =>
    systemTools.find(({ name }) => !isFunction(recipient) && isWithin(recipient, name));
  return {
    identifiers: tools.map(({ name }) => identifiers.get(name)!),
    identifierOf: (name) => {
      const bare = bareName(name);
      const known = identifiers.get(name) ?? identifiers.get(bare);
      return known ?? (names.has(bare) ? bare : toIdentifier(bare));
    },
    nameOf,
    namespaceOf,
    isJsonCall: (recipient, contentType) => {
      const namespace = namespaceOf(recipient);
      if (namespace) return (namespace.tools ?? []).length > 0;
      return contentType !== 'code' || isFunction(recipient);
    },
  };
}

/** Whether a name or recipient begins with `functions.`. */
export function isFunctionName(name = ''): boolean {
  return name.startsWith(`${FUNCTIONS}.`);
}

/** Whether a name is that of a tool that gpt-oss was trained with, such as `python` or `browser.search`. */
export function isTrainedName(name: string): boolean {
  return /^(?:python|browser\.\w+)$/.test(name);
}

/** Removes `functions.` from a name or recipient. */
export function bareName(name: string): string {
  return isFunctionName(name) ? name.slice(FUNCTIONS.length + 1) : name;
}

/** Whether a recipient is a namespace, or in it. */
function isWithin(recipient: string, namespace: string): boolean {
  return `${recipient}.`.startsWith(`${namespace}.`);
}

function isIdentifier(name: string): boolean {
  return /^[A-Za-z_$][\w$]*$/.test(name);
}

function toIdentifier(name: string): string {
  const identifier = name.replace(/[\s.-]/g, '_').replace(/[^\w$]/g, '');
  return /^\d|^$/.test(identifier) ? `_${identifier}` : identifier;
}
