import { CorefileError } from "./corefile-error.ts";
import type { Position } from "./corefile-error.ts";

/** A line of a Corefile: its words, and the lines between the braces behind it. */
export interface Statement extends Position {
  /** At least one. */
  readonly words: readonly string[];
  /** Undefined when there are no braces. */
  readonly block: readonly Statement[] | undefined;
}

interface Word extends Position {
  /** Where it ends: words in quotes go over lines. */
  readonly endLine: number;
  readonly text: string;
  /** Braces in quotes are text. */
  readonly isQuoted: boolean;
}

export interface ImportedFile {
  readonly path: string;
  readonly text: string;
}

/** What stands around a Corefile. */
export interface CorefileContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * The files that the pattern of an `import` stands for, sorted. Patterns that are no whole path are below the
   * folder of the file `from`, which is undefined for the Corefile. Default: there are none.
   * @throws Error when one of them cannot be read.
   */
  readonly files?: (pattern: string, from: string | undefined) => readonly ImportedFile[];
}

/**
 * Reads the structure of a Corefile: words, quotes, comments, braces, `{$NAME}` and `{%NAME%}` for the
 * environment's variables, and snippets and files with their imports.
 * @throws CorefileError
 */
export function parseStatements(text: string, context: CorefileContext): readonly Statement[] {
  return new Imports(context).expanded(readStatements(text, context, undefined), 0);
}

function readStatements(
  text: string,
  { env }: CorefileContext,
  file: string | undefined,
): readonly Statement[] {
  return new Reader(withVariables(readWords(text, file), env), file).statements(undefined);
}

/** Words with the line that each is on. */
function readWords(text: string, file: string | undefined): readonly Word[] {
  const words: Word[] = [];
  const pattern = /"((?:[^"\\]|\\[^])*)"|(#[^\n]*)|([^\s"#][^\s]*|"[^]*)|(\n)/g;
  let line = 1;
  let lineStart = 0;
  for (const match of text.matchAll(pattern)) {
    const [all, quoted, comment, plain, end] = match;
    const ends = end === undefined ? all.split("\n").length - 1 : 1;
    const at = { line, column: match.index - lineStart + 1, endLine: line + ends, file };
    if (quoted !== undefined) {
      words.push({ ...at, text: quoted.replaceAll('\\"', '"'), isQuoted: true });
    } else if (comment === undefined && plain !== undefined) {
      if (plain.startsWith('"')) throw new CorefileError(at, "a quote is not closed");
      words.push({ ...at, text: plain, isQuoted: false });
    }
    if (ends > 0) lineStart = match.index + all.lastIndexOf("\n") + 1;
    line += ends;
  }
  return words;
}

function withVariables(
  words: readonly Word[],
  env: Readonly<Record<string, string | undefined>>,
): readonly Word[] {
  return words.map((word) => ({
    ...word,
    text: word.text.replaceAll(
      /\{\$([^}\s]+)\}|\{%([^%\s]+)%\}/g,
      (_all, unix?: string, windows?: string) => env[unix ?? windows ?? ""] ?? "",
    ),
  }));
}

class Reader {
  readonly #words: readonly Word[];
  readonly #file: string | undefined;
  #next = 0;

  constructor(words: readonly Word[], file: string | undefined) {
    this.#words = words;
    this.#file = file;
  }

  /** All statements up to the brace that closes the one opened on `openedOn`, or to the end. */
  statements(openedOn: Position | undefined): readonly Statement[] {
    const found: Statement[] = [];
    for (;;) {
      const word = this.#words[this.#next];
      if (word === undefined) {
        if (openedOn !== undefined) throw new CorefileError(openedOn, "{ is not closed");
        return found;
      }
      if (isBrace(word, "}")) {
        if (openedOn === undefined) throw new CorefileError(word, "} closes nothing");
        this.#next += 1;
        return found;
      }
      found.push(this.#statement(word, openedOn === undefined));
    }
  }

  #statement({ line, column }: Position, isTop: boolean): Statement {
    const file = this.#file;
    const words: string[] = [];
    let current = line;
    for (;;) {
      const word = this.#words[this.#next];
      if (word === undefined || word.line !== current || isBrace(word, "}")) break;
      this.#next += 1;
      current = word.endLine;
      if (isBrace(word, "{")) {
        if (words.length === 0) throw new CorefileError(word, "{ stands behind nothing");
        return { line, column, file, words, block: this.statements(word) };
      }
      // The zones of a server block may have commas between them, and go on in the next line after one.
      const hasComma = isTop && !word.isQuoted && word.text.endsWith(",");
      const text = hasComma ? word.text.slice(0, -1) : word.text;
      if (text !== "" || word.isQuoted) words.push(text);
      if (hasComma) current = this.#words[this.#next]?.line ?? current;
    }
    if (words.length === 0) throw new CorefileError({ line, column, file }, "a line has no words");
    return { line, column, file, words, block: undefined };
  }
}

function isBrace(word: Word, brace: "{" | "}"): boolean {
  return word.text === brace && !word.isQuoted;
}

/** How deep snippets and files may import one another. */
const MAX_DEPTH = 16;
/** Each may import others more than once, which would double with each level. */
const MAX_IMPORTS = 10_000;

/** Puts snippets and files where they are imported. */
class Imports {
  readonly #context: CorefileContext;
  readonly #snippets = new Map<string, readonly Statement[]>();
  #count = 0;

  constructor(context: CorefileContext) {
    this.#context = context;
  }

  /** The statements without definitions of snippets, which hold for whatever is expanded later, and imports. */
  expanded(statements: readonly Statement[], depth: number): readonly Statement[] {
    return this.#withoutSnippets(statements).flatMap((statement) => {
      if (statement.words[0] === "import") return this.#imported(statement, depth);
      if (statement.block === undefined) return [statement];
      return [{ ...statement, block: this.expanded(statement.block, depth) }];
    });
  }

  #withoutSnippets(statements: readonly Statement[]): readonly Statement[] {
    return statements.filter((statement) => {
      const name = /^\((.+)\)$/.exec(statement.words[0] ?? "")?.[1];
      if (name === undefined) return true;
      if (statement.block === undefined || statement.words.length > 1) {
        throw new CorefileError(statement, `snippet (${name}) needs { and } behind its name`);
      }
      this.#snippets.set(name, statement.block);
      return false;
    });
  }

  #imported(statement: Statement, depth: number): readonly Statement[] {
    const [, name = "", ...parameters] = statement.words;
    const fail = (problem: string): never => {
      throw new CorefileError(statement, `import ${[name, ...parameters].join(" ")}: ${problem}`);
    };
    if (name === "") fail("a snippet's name or a file is missing");
    if (parameters.length > 0) fail("one snippet or file can be imported, without arguments");
    if (depth >= MAX_DEPTH) fail("it imports itself");
    this.#count += 1;
    if (this.#count > MAX_IMPORTS) fail(`there are more than ${String(MAX_IMPORTS)} imports`);
    const snippet = this.#snippets.get(name);
    if (snippet !== undefined) return this.expanded(snippet, depth + 1);
    const files = this.#files(statement, name);
    // As CoreDNS: a pattern may have no files yet, as that of a folder for additions.
    if (files.length === 0 && !/[*?[]/.test(name)) {
      fail("there is neither a snippet (NAME) { ... } nor a file of this name");
    }
    return files.flatMap(({ path, text }) =>
      this.expanded(readStatements(text, this.#context, path), depth + 1),
    );
  }

  #files(statement: Statement, pattern: string): readonly ImportedFile[] {
    try {
      return this.#context.files?.(pattern, statement.file) ?? [];
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CorefileError(statement, `import ${pattern}: ${reason}`);
    }
  }
}
