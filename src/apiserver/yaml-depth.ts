import type { Lexer, Parser } from "yaml";
import { MAX_JSON_DEPTH } from "../api/machinery/json.ts";

/**
 * Whether lists and maps in a YAML text nest deeper than any JSON that we take. To be asked before the text is
 * composed into a document: that recurses, and with a stack near its end a regular expression in it takes the
 * whole process down ("RegExpCompiler Allocation failed"). The parser itself keeps a stack of its own.
 */
export function nestsTooDeep(text: string, lexer: Lexer, parser: Parser): boolean {
  for (const lexeme of lexer.lex(text)) {
    const tokens = parser.next(lexeme);
    while (tokens.next().done !== true);
    // Beside collections the stack holds the document and the scalar that is being read.
    if (parser.stack.length > MAX_JSON_DEPTH + 2) return true;
  }
  return false;
}
