import type { Lexer, Parser } from "yaml";
import { MAX_JSON_DEPTH } from "../api/machinery/json.ts";

/** Aliases add the depths of what they stand for, at a cost that grows with its square; manifests stay far below. */
const MAX_DEPTH_WITH_ALIASES = 60;

/** Beside collections the parser's stack holds the document and the scalar that is being read. */
const OTHERS_ON_STACK = 2;

/**
 * Whether lists and maps in a YAML text nest deeper than any JSON that we take. To be asked before the text is
 * composed into a document: that recurses, and with a stack near its end a regular expression in it takes the
 * whole process down ("RegExpCompiler Allocation failed"). The parser itself keeps a stack of its own.
 */
export function nestsTooDeep(text: string, lexer: Lexer, parser: Parser): boolean {
  let depth = 0;
  let hasAliases = false;
  for (const lexeme of lexer.lex(text)) {
    const tokens = parser.next(lexeme);
    while (tokens.next().done !== true);
    hasAliases ||= lexeme.startsWith("*");
    depth = Math.max(depth, parser.stack.length - OTHERS_ON_STACK);
    if (depth > MAX_JSON_DEPTH) return true;
  }
  return hasAliases && depth > MAX_DEPTH_WITH_ALIASES;
}
