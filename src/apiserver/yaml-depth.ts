import type { Lexer, Parser } from "yaml";
import { MAX_JSON_DEPTH } from "../api/machinery/json.ts";

/** Aliases add the depths of what they stand for, at a cost that grows with its square; manifests stay far below. */
const MAX_DEPTH_WITH_ALIASES = 60;

/** Beside collections the parser's stack holds the document and the scalar that is being read. */
const OTHERS_ON_STACK = 2;

/** Beyond this a text of one token costs too much. */
export const MAX_YAML_BYTES = 512 * 1024;
/** What the lexer gives: scalars, marks, spaces and line ends. Each costs some microseconds to compose. */
export const MAX_YAML_TOKENS = 20_000;

/**
 * What a YAML text has too much of: tokens, or levels: lists and maps in it nest deeper than any JSON that we take. To be asked before the text is
 * composed into a document: that recurses, and with a stack near its end a regular expression in it takes the
 * whole process down ("RegExpCompiler Allocation failed"). The parser itself keeps a stack of its own.
 */
export function excessOf(
  text: string,
  lexer: Lexer,
  parser: Parser,
): "depth" | "tokens" | undefined {
  let depth = 0;
  let count = 0;
  let hasAliases = false;
  for (const lexeme of lexer.lex(text)) {
    count++;
    if (count > MAX_YAML_TOKENS) return "tokens";
    const tokens = parser.next(lexeme);
    while (tokens.next().done !== true);
    hasAliases ||= lexeme.startsWith("*");
    depth = Math.max(depth, parser.stack.length - OTHERS_ON_STACK);
    if (depth > MAX_JSON_DEPTH) return "depth";
  }
  return hasAliases && depth > MAX_DEPTH_WITH_ALIASES ? "depth" : undefined;
}
