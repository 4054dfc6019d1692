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

/**
 * Reads the structure of a Corefile: words, quotes, comments, braces, `{$NAME}` and `{%NAME%}` for the
 * environment's variables, and snippets with their imports.
 * @throws CorefileError
 */
export function parseStatements(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): readonly Statement[] {
  const words = withVariables(readWords(text), env);
  const reader = new Reader(words);
  const statements = reader.statements(undefined);
  return withoutSnippets(statements);
}

/** Words with the line that each is on. */
function readWords(text: string): readonly Word[] {
  const words: Word[] = [];
  const pattern = /"((?:[^"\\]|\\[^])*)"|(#[^\n]*)|([^\s"#][^\s]*|"[^]*)|(\n)/g;
  let line = 1;
  let lineStart = 0;
  for (const match of text.matchAll(pattern)) {
    const [all, quoted, comment, plain, end] = match;
    const ends = end === undefined ? all.split("\n").length - 1 : 1;
    const at = { line, column: match.index - lineStart + 1, endLine: line + ends };
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
  #next = 0;

  constructor(words: readonly Word[]) {
    this.#words = words;
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
    const words: string[] = [];
    let current = line;
    for (;;) {
      const word = this.#words[this.#next];
      if (word === undefined || word.line !== current || isBrace(word, "}")) break;
      this.#next += 1;
      current = word.endLine;
      if (isBrace(word, "{")) {
        if (words.length === 0) throw new CorefileError(word, "{ stands behind nothing");
        return { line, column, words, block: this.statements(word) };
      }
      // The zones of a server block may have commas between them, and go on in the next line after one.
      const hasComma = isTop && !word.isQuoted && word.text.endsWith(",");
      const text = hasComma ? word.text.slice(0, -1) : word.text;
      if (text !== "" || word.isQuoted) words.push(text);
      if (hasComma) current = this.#words[this.#next]?.line ?? current;
    }
    if (words.length === 0) throw new CorefileError({ line, column }, "a line has no words");
    return { line, column, words, block: undefined };
  }
}

function isBrace(word: Word, brace: "{" | "}"): boolean {
  return word.text === brace && !word.isQuoted;
}

/** How deep snippets may import one another. */
const MAX_IMPORTS = 16;

function withoutSnippets(statements: readonly Statement[]): readonly Statement[] {
  const snippets = new Map<string, readonly Statement[]>();
  const rest = statements.filter((statement) => {
    const name = /^\((.+)\)$/.exec(statement.words[0] ?? "")?.[1];
    if (name === undefined) return true;
    if (statement.block === undefined || statement.words.length > 1) {
      throw new CorefileError(statement, `snippet (${name}) needs { and } behind its name`);
    }
    snippets.set(name, statement.block);
    return false;
  });
  const expanded = (list: readonly Statement[], depth: number): readonly Statement[] =>
    list.flatMap((statement) => {
      if (statement.words[0] !== "import") {
        return statement.block === undefined
          ? [statement]
          : [{ ...statement, block: expanded(statement.block, depth) }];
      }
      const [, name = "", ...parameters] = statement.words;
      const snippet = snippets.get(name);
      if (snippet === undefined || parameters.length > 0) {
        const what = `import ${statement.words.slice(1).join(" ")}`;
        throw new CorefileError(
          statement,
          `${what}: only snippets of this file, (NAME) { ... }, can be imported, without arguments`,
        );
      }
      if (depth >= MAX_IMPORTS) {
        throw new CorefileError(statement, `import ${name}: the snippet imports itself`);
      }
      return expanded(snippet, depth + 1);
    });
  return expanded(rest, 0);
}
