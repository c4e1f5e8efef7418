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
}

/**
 * Maps the names of tools to TypeScript identifiers, the form in which the model sees them: spaces, `-` and `.` become
 * `_`, other invalid characters are dropped, a leading digit is prefixed with `_`, and a duplicate gets a number.
 *
 * @throws RangeError if two tools have the same name.
 */
export function createToolNames(tools: readonly { readonly name: string }[]): ToolNames {
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
