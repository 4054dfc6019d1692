import { MAX_JSON_DEPTH } from "./json.ts";

/** Upstream tells at most this many strict errors of one body. */
const MAX_DUPLICATES = 100;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * Fields and list items that one text may have. Reading, decoding, judging and writing each of them costs some
 * microseconds, during which nobody else is served. A full EndpointSlice has 17,000 at most.
 */
export const MAX_JSON_VALUES = 25_000;

export type ParsedJson =
  | { readonly kind: "parsed"; readonly value: unknown }
  | { readonly kind: "malformed"; readonly message: string }
  /** More than {@link MAX_JSON_VALUES}. */
  | { readonly kind: "tooMany" };

/**
 * Parses JSON text from a stranger: the result is at most 500 levels deep, so that recursion over it is safe, and
 * has a bounded number of values.
 */
export function parseJson(text: string): ParsedJson {
  const excess = excessOf(text);
  if (excess === "depth") return { kind: "malformed", message: "exceeded max depth" };
  if (excess === "values") return { kind: "tooMany" };
  try {
    const value: unknown = JSON.parse(text);
    return { kind: "parsed", value };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { kind: "malformed", message: error.message };
  }
}

function excessOf(text: string): "depth" | "values" | undefined {
  // Each level takes a character at least, and so does each value.
  if (text.length <= MAX_JSON_DEPTH) return undefined;
  let depth = 0;
  let values = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) i = endOfString(text, i);
    else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
      depth++;
      if (depth > MAX_JSON_DEPTH) return "depth";
      values++;
    } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) depth--;
    else if (c === COMMA) values++;
    if (values > MAX_JSON_VALUES) return "values";
  }
  return undefined;
}

interface Frame {
  /** The keys met so far; undefined for a list. */
  readonly keys: Set<string> | undefined;
  key: string;
  index: number;
  /** In an object: the next string is a key, not a value. */
  expectsKey: boolean;
}

/**
 * The keys that occur twice in one object, as upstream words them: `duplicate field "spec.ports[0].port"`.
 * For fieldValidation Strict and Warn; `JSON.parse` itself keeps the last of them in silence.
 *
 * @param text JSON that {@link parseJson} accepted.
 */
export function findDuplicateKeys(text: string): readonly string[] {
  const stack: Frame[] = [];
  const found = new Set<string>();
  for (let i = 0; i < text.length; i++) {
    const frame = stack[stack.length - 1];
    switch (text.charCodeAt(i)) {
      case OPEN_BRACE:
        stack.push({ keys: new Set(), key: "", index: 0, expectsKey: true });
        break;
      case OPEN_BRACKET:
        stack.push({ keys: undefined, key: "", index: 0, expectsKey: false });
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        stack.pop();
        break;
      case COLON:
        if (frame !== undefined) frame.expectsKey = false;
        break;
      case COMMA:
        if (frame === undefined) break;
        if (frame.keys === undefined) frame.index++;
        else frame.expectsKey = true;
        break;
      case QUOTE: {
        const end = endOfString(text, i);
        if (frame?.keys !== undefined && frame.expectsKey) {
          frame.key = unquote(text.slice(i, end + 1));
          if (frame.keys.has(frame.key)) found.add(`duplicate field "${pathOf(stack)}"`);
          frame.keys.add(frame.key);
          if (found.size === MAX_DUPLICATES) return [...found];
        }
        i = end;
        break;
      }
      default:
        break;
    }
  }
  return [...found];
}

/** Index of the quote that ends the string which starts at `start`. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === BACKSLASH) i++;
    else if (c === QUOTE) return i;
  }
  return text.length;
}

function unquote(quoted: string): string {
  if (!quoted.includes("\\")) return quoted.slice(1, -1);
  const key: unknown = JSON.parse(quoted);
  return String(key);
}

function pathOf(stack: readonly Frame[]): string {
  let path = "";
  for (const frame of stack) {
    if (frame.keys === undefined) path += `[${String(frame.index)}]`;
    else path += path === "" ? frame.key : `.${frame.key}`;
  }
  return path;
}
