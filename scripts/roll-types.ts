import { relative } from 'node:path';
import ts from 'typescript';

/**
 * Joins the declarations that an entry's exports reach into one file, so that users' compilers never see the rest, which
 * needs newer libraries than the exports do.
 *
 * @param entry - The entry's .d.ts file, as tsc has emitted it.
 * @param folder - Below it lie the declarations to join; those of packages are imported.
 * @throws Error if two declarations have the same name, or one cannot be joined.
 */
export function rollTypes(entry: string, folder: string): string {
  const program = ts.createProgram([entry], {
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.esnext.d.ts', 'lib.dom.d.ts'],
    allowImportingTsExtensions: true,
    types: [],
  });
  const checker = program.getTypeChecker();
  const isOwn = (file: ts.SourceFile): boolean =>
    !relative(folder, file.fileName).startsWith('..') && file.fileName.endsWith('.d.ts');

  const statements = new Map<ts.Statement, string>();
  const names = new Map<string, ts.Symbol>();
  /** Package → names to import from it. */
  const imports = new Map<string, Set<string>>();

  const reach = (symbol: ts.Symbol): void => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    const own = (target.declarations ?? []).filter(({ parent }) => isOwn(parent.getSourceFile()));
    if (own.length === 0) importFrom(symbol);
    for (const declaration of own) {
      const statement = topLevel(declaration);
      if (!statement || statements.has(statement)) continue;
      const known = names.get(target.name);
      if (known && known !== target) throw new Error(`${entry} reaches two types ${target.name}.`);
      names.set(target.name, target);
      statements.set(statement, textOf(statement));
      visit(statement);
    }
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportTypeNode(node)) throw new Error(`${node.getText()} cannot be joined.`);
    if (ts.isIdentifier(node)) {
      const symbol = checker.getSymbolAtLocation(node);
      if (symbol && isModuleLevel(symbol)) reach(symbol);
    }
    ts.forEachChild(node, visit);
  };
  const isModuleLevel = (symbol: ts.Symbol): boolean =>
    (symbol.declarations ?? []).some(
      (declaration) =>
        isOwn(declaration.getSourceFile()) &&
        (ts.isImportSpecifier(declaration) || topLevel(declaration) !== undefined),
    );
  const importFrom = (symbol: ts.Symbol): void => {
    const specifier = symbol.declarations?.find(
      (declaration) => ts.isImportSpecifier(declaration) || ts.isExportSpecifier(declaration),
    );
    if (!specifier) return; // of a library of TypeScript
    const from = moduleOf(specifier);
    if (!from || specifier.propertyName) throw new Error(`${symbol.name} cannot be joined.`);
    imports.set(from, (imports.get(from) ?? new Set()).add(specifier.name.text));
  };

  const module = checker.getSymbolAtLocation(program.getSourceFile(entry) as ts.SourceFile);
  const exported = module ? checker.getExportsOfModule(module) : [];
  for (const symbol of exported) reach(symbol);
  const list = exported.map((symbol) => {
    const { flags } =
      symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    return flags & ts.SymbolFlags.Value ? symbol.name : `type ${symbol.name}`;
  });
  const heads = [...imports].map(
    ([from, found]) => `import type { ${[...found].sort().join(', ')} } from '${from}';`,
  );
  return [...heads, ...statements.values(), `export { ${list.sort().join(', ')} };`, ''].join('\n');
}

/** The statement of a module that makes a declaration; `undefined` for members, parameters and the like. */
function topLevel(declaration: ts.Node): ts.Statement | undefined {
  const node = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  return ts.isSourceFile(node.parent) && ts.isStatement(node) && !ts.isImportDeclaration(node)
    ? node
    : undefined;
}

/** The module that an import or export names. */
function moduleOf(specifier: ts.ImportSpecifier | ts.ExportSpecifier): string | undefined {
  const declaration = ts.isImportSpecifier(specifier)
    ? specifier.parent.parent.parent
    : specifier.parent.parent;
  const name = declaration.moduleSpecifier;
  return name && ts.isStringLiteral(name) ? name.text : undefined;
}

/** A statement with its comment and without `export`. */
function textOf(statement: ts.Statement): string {
  const [comment] = ts.getJSDocCommentsAndTags(statement).slice(-1);
  const text = statement
    .getText()
    .replace(/^export /, '')
    .replace(/^(?!declare|type|interface)/, 'declare ');
  return comment ? `${comment.getText()}\n${text}` : text;
}
