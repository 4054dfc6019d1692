import { PERL_CLASSES, POSIX_CLASSES, unicodeTest } from "./pattern-classes.ts";

/**
 * Reads regular expressions in RE2's syntax (https://github.com/google/re2/wiki/Syntax), which is what patterns
 * of custom resources are written in. What RE2 leaves out because it cannot be matched in linear time
 * (back-references, lookaround) is refused here as well.
 */

export type Node =
  | { readonly kind: "empty" }
  | { readonly kind: "class"; readonly matches: (code: number) => boolean }
  | { readonly kind: "assert"; readonly at: Assertion }
  | { readonly kind: "sequence"; readonly parts: readonly Node[] }
  | { readonly kind: "choice"; readonly options: readonly Node[] }
  | {
      readonly kind: "repeat";
      readonly of: Node;
      readonly min: number;
      readonly max: number;
      /** Whether fewer are tried first; no matter where only a match is asked for. */
      readonly isLazy: boolean;
    }
  /** What it matched can be asked for, by its number from 1 or its name. */
  | {
      readonly kind: "group";
      readonly of: Node;
      readonly number: number;
      readonly name: string | undefined;
    };

export type Assertion =
  | "textStart"
  | "textEnd"
  | "lineStart"
  | "lineEnd"
  | "wordBoundary"
  | "noWordBoundary";

/** The pattern cannot be used; the message says why, as Go's `regexp` words it. */
export class PatternError extends Error {}

/** As RE2. */
const MAX_REPEAT = 1000;
/** Characters; what is longer makes too many instructions anyhow. */
const MAX_LENGTH = 10_000;
/** Characters of `{1000,1000}`, with a few leading zeros. */
const MAX_BOUNDS = 13;
/** So much of a pattern is looked at, or quoted, from one place in it. */
const MAX_AHEAD = 100;
/** Groups in groups; parsing recurses. */
const MAX_NESTING = 200;

interface Flags {
  readonly ignoreCase: boolean;
  readonly multiLine: boolean;
  readonly dotAll: boolean;
  /** Swaps the meaning of `*` and `*?`. */
  readonly isLazy: boolean;
}

/** @throws PatternError */
export function parsePattern(pattern: string): Node {
  if (pattern.length > MAX_LENGTH) {
    throw new PatternError("error parsing regexp: expression too large");
  }
  const parser = new Parser(pattern);
  return parser.parse();
}

class Parser {
  readonly #text: readonly string[];
  #next = 0;
  #depth = 0;
  #groups = 0;
  #flags: Flags = { ignoreCase: false, multiLine: false, dotAll: false, isLazy: false };

  constructor(pattern: string) {
    this.#text = Array.from(pattern);
  }

  parse(): Node {
    const node = this.#choice();
    if (this.#peek() === ")") throw fail(`unexpected )`, this.#text.join(""));
    return node;
  }

  #peek(ahead = 0): string | undefined {
    return this.#text[this.#next + ahead];
  }

  /** What comes next; all of the rest each time would make long patterns quadratic. */
  #ahead(): string {
    return this.#text.slice(this.#next, this.#next + MAX_AHEAD).join("");
  }

  #take(text: string): boolean {
    for (const [i, character] of Array.from(text).entries()) {
      if (this.#peek(i) !== character) return false;
    }
    this.#next += text.length;
    return true;
  }

  #choice(): Node {
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    const [only] = options;
    return options.length === 1 && only !== undefined ? only : { kind: "choice", options };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    for (;;) {
      const character = this.#peek();
      if (character === undefined || character === "|" || character === ")") break;
      const at = this.#next;
      const atom = this.#atom();
      if (atom !== undefined) parts.push(this.#repeated(atom, at));
    }
    return parts.length === 0 ? { kind: "empty" } : { kind: "sequence", parts };
  }

  /** @returns undefined for flags such as `(?i)`, which match nothing by themselves. */
  #atom(): Node | undefined {
    const character = this.#peek() ?? "";
    switch (character) {
      case "(":
        return this.#group();
      case "[":
        return { kind: "class", matches: this.#class() };
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
        throw fail("missing argument to repetition operator", character);
      default:
        break;
    }
    this.#next++;
    switch (character) {
      case ".": {
        const { dotAll } = this.#flags;
        return { kind: "class", matches: (code) => dotAll || code !== 10 };
      }
      case "^":
        return { kind: "assert", at: this.#flags.multiLine ? "lineStart" : "textStart" };
      case "$":
        return { kind: "assert", at: this.#flags.multiLine ? "lineEnd" : "textEnd" };
      default:
        return this.#literal(character);
    }
  }

  #literal(character: string): Node {
    const code = character.codePointAt(0) ?? 0;
    return { kind: "class", matches: this.#folded((one) => one === code) };
  }

  /** With `i`, a character matches as either of its cases. */
  #folded(matches: (code: number) => boolean): (code: number) => boolean {
    if (!this.#flags.ignoreCase) return matches;
    return (code) => {
      const character = String.fromCodePoint(code);
      return [character, character.toLowerCase(), character.toUpperCase()].some((one) => {
        const other = one.codePointAt(0);
        return other !== undefined && matches(other);
      });
    };
  }

  #group(): Node | undefined {
    const opened = this.#ahead();
    this.#next++;
    const before = this.#flags;
    let name: string | undefined;
    let isCapturing = true;
    if (this.#take("?")) {
      if (this.#take("P<") || (this.#peek() === "<" && /^[A-Za-z_]/.test(this.#peek(1) ?? ""))) {
        this.#take("<");
        name = this.#groupName(opened);
      } else if (this.#groupFlags(opened)) {
        return undefined;
      } else isCapturing = false;
    }
    // Numbered by where they open.
    const number = isCapturing ? ++this.#groups : 0;
    if (++this.#depth > MAX_NESTING) throw fail("expression nests too deeply", "(");
    const inner = this.#choice();
    this.#depth--;
    if (!this.#take(")")) throw fail("missing closing )", this.#text.join(""));
    this.#flags = before;
    return isCapturing ? { kind: "group", of: inner, number, name } : inner;
  }

  #groupName(opened: string): string {
    let name = "";
    while (/^[A-Za-z0-9_]$/.test(this.#peek() ?? "")) {
      name += this.#peek() ?? "";
      this.#next++;
    }
    if (name === "" || !this.#take(">")) throw fail("invalid named capture", opened);
    return name;
  }

  /** @returns whether they stand alone, `(?i)`, and hold until the end of the group around them. */
  #groupFlags(opened: string): boolean {
    let isSet = true;
    for (;;) {
      const character = this.#peek() ?? "";
      this.#next++;
      switch (character) {
        case "i":
          this.#flags = { ...this.#flags, ignoreCase: isSet };
          break;
        case "m":
          this.#flags = { ...this.#flags, multiLine: isSet };
          break;
        case "s":
          this.#flags = { ...this.#flags, dotAll: isSet };
          break;
        case "U":
          this.#flags = { ...this.#flags, isLazy: isSet };
          break;
        case "-":
          if (!isSet) throw fail("invalid or unsupported Perl syntax", opened.slice(0, 3));
          isSet = false;
          break;
        case ":":
          return false;
        case ")":
          return true;
        default:
          throw fail("invalid or unsupported Perl syntax", opened.slice(0, 3));
      }
    }
  }

  #repeated(atom: Node, from: number): Node {
    let node = atom;
    let count = 0;
    for (;;) {
      const bounds = this.#bounds();
      if (bounds === undefined) return node;
      // `a**` says what `a*` says, and RE2 refuses it, for it is most likely a mistake.
      if (++count > 1) {
        throw fail(
          "invalid nested repetition operator",
          this.#text.slice(from, this.#next).join(""),
        );
      }
      const isLazy = this.#take("?") !== this.#flags.isLazy;
      node = { kind: "repeat", of: node, ...bounds, isLazy };
    }
  }

  #bounds(): { readonly min: number; readonly max: number } | undefined {
    if (this.#take("*")) return { min: 0, max: Infinity };
    if (this.#take("+")) return { min: 1, max: Infinity };
    if (this.#take("?")) return { min: 0, max: 1 };
    if (this.#peek() !== "{") return undefined;
    const match = /^\{(\d+)(,(\d*))?\}/.exec(
      this.#text.slice(this.#next, this.#next + MAX_BOUNDS).join(""),
    );
    // Anything else between braces is literal text.
    if (match === null) return undefined;
    const [text] = match;
    this.#next += text.length;
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === "" ? Infinity : Number(match[3]);
    if (min > MAX_REPEAT || (max !== Infinity && max > MAX_REPEAT) || min > max) {
      throw fail("invalid repeat count", text);
    }
    return { min, max };
  }

  #escape(): Node {
    const next = this.#peek(1);
    const at = ASSERTIONS[next ?? ""];
    if (at !== undefined) {
      this.#next += 2;
      return { kind: "assert", at };
    }
    if (next === "Q") return this.#quoted();
    return { kind: "class", matches: this.#folded(this.#escapedClass()) };
  }

  /** Text between \Q and \E stands for itself. */
  #quoted(): Node {
    this.#next += 2;
    const parts: Node[] = [];
    while (this.#peek() !== undefined && !this.#take("\\E")) {
      parts.push(this.#literal(this.#peek() ?? ""));
      this.#next++;
    }
    return { kind: "sequence", parts };
  }

  /** A class such as \d, or one character such as \x41. */
  #escapedClass(): (code: number) => boolean {
    const from = this.#next;
    this.#next++;
    const character = this.#peek();
    if (character === undefined) throw fail("trailing backslash at end of expression", "");
    const perl = PERL_CLASSES[character.toLowerCase()];
    if (perl !== undefined && /[dwsDWS]/.test(character)) {
      this.#next++;
      return character === character.toLowerCase() ? perl : (code) => !perl(code);
    }
    if (character === "p" || character === "P") return this.#unicodeClass();
    const code = this.#escapedCode();
    if (code === undefined) {
      throw fail("invalid escape sequence", this.#text.slice(from, from + 2).join(""));
    }
    return (one) => one === code;
  }

  /** \pL, \p{Greek}, \p{^Greek}, \PL: the one place where the engine's own tables are asked, per character. */
  #unicodeClass(): (code: number) => boolean {
    const from = this.#next - 1;
    let isNegated = this.#peek() === "P";
    this.#next++;
    let name = this.#peek() ?? "";
    this.#next++;
    if (name === "{") {
      const ahead = this.#text.slice(this.#next, this.#next + MAX_AHEAD);
      const end = ahead.indexOf("}");
      if (end === -1) throw fail("invalid character class range", ahead.join(""));
      name = ahead.slice(0, end).join("");
      this.#next += end + 1;
    }
    if (name.startsWith("^")) {
      isNegated = !isNegated;
      name = name.slice(1);
    }
    const test = unicodeTest(name);
    if (test === undefined) {
      const text = this.#text.slice(from, this.#next).join("");
      throw fail("invalid character class range", text);
    }
    return (code) => test.test(String.fromCodePoint(code)) !== isNegated;
  }

  /** The character that an escape stands for; undefined when there is no such escape. */
  #escapedCode(): number | undefined {
    const character = this.#peek() ?? "";
    this.#next++;
    const control = CONTROLS[character];
    if (control !== undefined) return control;
    if (character === "x") {
      const match = /^(?:\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{2}))/.exec(
        this.#text.slice(this.#next, this.#next + 10).join(""),
      );
      if (match === null) return undefined;
      this.#next += match[0].length;
      const code = Number.parseInt(match[1] ?? match[2] ?? "", 16);
      return code <= 0x10ffff ? code : undefined;
    }
    if (/[0-7]/.test(character)) {
      // \0, or two or three octal digits; \1 to \9 alone would be a back-reference.
      const more =
        /^[0-7]{0,2}/.exec(this.#text.slice(this.#next, this.#next + 2).join(""))?.[0] ?? "";
      if (character !== "0" && more === "") return undefined;
      this.#next += more.length;
      return Number.parseInt(character + more, 8);
    }
    return /[A-Za-z0-9]/.test(character) ? undefined : character.codePointAt(0);
  }

  #class(): (code: number) => boolean {
    const opened = this.#ahead();
    this.#next++;
    const isNegated = this.#take("^");
    const items: ((code: number) => boolean)[] = [];
    let isFirst = true;
    while (isFirst || this.#peek() !== "]") {
      if (this.#peek() === undefined) throw fail("missing closing ]", opened);
      isFirst = false;
      const posix = this.#posixClass();
      items.push(posix ?? this.#classItem(opened));
    }
    this.#next++;
    const matches = this.#folded((code) => items.some((item) => item(code)));
    return isNegated ? (code) => !matches(code) : matches;
  }

  #posixClass(): ((code: number) => boolean) | undefined {
    if (this.#peek() !== "[" || this.#peek(1) !== ":") return undefined;
    const match = /^\[:(\^?)(\w+):\]/.exec(this.#text.slice(this.#next, this.#next + 16).join(""));
    if (match === null) return undefined;
    const test = POSIX_CLASSES[match[2] ?? ""];
    if (test === undefined) throw fail("invalid character class range", match[0]);
    this.#next += match[0].length;
    const isNegated = match[1] === "^";
    return (code) => test.test(String.fromCodePoint(code)) !== isNegated;
  }

  /** A character, a class, or a range of characters. */
  #classItem(opened: string): (code: number) => boolean {
    const from = this.#next;
    if (this.#peek() === "\\" && /[dwsDWSpP]/.test(this.#peek(1) ?? ""))
      return this.#escapedClass();
    const low = this.#classCharacter(opened);
    if (this.#peek() !== "-" || this.#peek(1) === "]" || this.#peek(1) === undefined) {
      return (code) => code === low;
    }
    this.#next++;
    const high = this.#classCharacter(opened);
    if (high < low) {
      throw fail("invalid character class range", this.#text.slice(from, this.#next).join(""));
    }
    return (code) => code >= low && code <= high;
  }

  #classCharacter(opened: string): number {
    const character = this.#peek();
    if (character === undefined) throw fail("missing closing ]", opened);
    if (character !== "\\") {
      this.#next++;
      return character.codePointAt(0) ?? 0;
    }
    const from = this.#next;
    this.#next++;
    if (this.#peek() === undefined) throw fail("trailing backslash at end of expression", "");
    const code = this.#escapedCode();
    if (code !== undefined) return code;
    throw fail("invalid escape sequence", this.#text.slice(from, from + 2).join(""));
  }
}

function fail(what: string, where: string): PatternError {
  return new PatternError(`error parsing regexp: ${what}: \`${where}\``);
}

const ASSERTIONS: Readonly<Record<string, Assertion>> = {
  A: "textStart",
  z: "textEnd",
  b: "wordBoundary",
  B: "noWordBoundary",
};

const CONTROLS: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
