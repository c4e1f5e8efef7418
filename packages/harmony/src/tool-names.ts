/** The namespace of the application's tools. */
export const FUNCTIONS = 'functions';

/** The names of an application's tools, as the application and as the model write them. */
export interface ToolNames {
  /** The names as the model sees them, in the order of the tools. */
  readonly identifiers: readonly string[];
  /** The identifier of a tool; a name that no tool has is made an identifier all the same. */
  identifierOf(name: string): string;
  /** The name of the tool that a recipient, with or without `functions.`, calls; `undefined` where there is none. */
  nameOf(recipient: string): string | undefined;
}

/**
 * Maps the names of tools to TypeScript identifiers, as which the model sees them: spaces, `-` and `.` become `_`, other
 * characters are dropped, a leading digit gets a `_`, and a name that is taken gets a number.
 *
 * @throws RangeError where two tools have the same name.
 */
export function createToolNames(tools: readonly { readonly name: string }[]): ToolNames {
  const identifiers = new Map<string, string>();
  const names = new Map<string, string>();
  // Names that are identifiers already keep theirs, whatever comes before them.
  const ordered = [...tools].sort(
    (a, b) => Number(isIdentifier(b.name)) - Number(isIdentifier(a.name)),
  );
  for (const { name } of ordered) {
    if (identifiers.has(name))
      throw new RangeError(`Two tools are called ${JSON.stringify(name)}.`);
    const base = toIdentifier(name);
    let identifier = base;
    for (let count = 2; names.has(identifier); count++) identifier = `${base}_${count}`;
    identifiers.set(name, identifier);
    names.set(identifier, name);
  }
  const bare = (name: string): string =>
    name.startsWith(`${FUNCTIONS}.`) ? name.slice(FUNCTIONS.length + 1) : name;
  return {
    identifiers: tools.map(({ name }) => identifiers.get(name)!),
    identifierOf: (name) => {
      const known = identifiers.get(name) ?? identifiers.get(bare(name));
      return known ?? (names.has(bare(name)) ? bare(name) : toIdentifier(bare(name)));
    },
    nameOf: (recipient) => {
      const name = bare(recipient);
      return names.get(name) ?? (identifiers.has(name) ? name : undefined);
    },
  };
}

function isIdentifier(name: string): boolean {
  return /^[A-Za-z_$][\w$]*$/.test(name);
}

function toIdentifier(name: string): string {
  const identifier = name.replace(/[\s.-]/g, '_').replace(/[^\w$]/g, '');
  return /^\d|^$/.test(identifier) ? `_${identifier}` : identifier;
}
