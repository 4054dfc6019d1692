import { foldName, formatDomainName } from "../domain-name.ts";
import { RCODE } from "../message.ts";
import { parseNamePattern } from "../name-pattern.ts";
import type { NamePattern } from "../name-pattern.ts";
import { parseClass, parseType } from "../record-type.ts";
import type { NameChange, NameTest, RewriteRule } from "../rewrite.ts";
import type { Directive } from "./directive.ts";
import { readOptionRule } from "./edns0-rule.ts";

const MATCHES = ["exact", "prefix", "suffix", "substring", "regex"] as const;
type Match = (typeof MATCHES)[number];

/**
 * `rewrite [stop|continue] FIELD ...`, or the field and its `answer` lines between braces. Fields: `name`, `type`,
 * `class`, `ttl`, `rcode`, `cname` and `edns0`.
 */
export function readRewrite(directive: Directive): RewriteRule {
  const lines = directive.lines().flatMap(({ words }) => words);
  const words = [...directive.rest(), ...lines];
  const isLast = words[0] !== "continue";
  if (words[0] === "stop" || words[0] === "continue") words.shift();
  const field = words.shift() ?? "";
  switch (field) {
    case "name":
      return { isLast, field, ...readName(directive, words) };
    case "type":
    case "class": {
      const [from = "", to = "", ...more] = words;
      refuseMore(directive, more);
      const number = field === "type" ? typeNumber : classNumber;
      return { isLast, field, from: number(directive, from), to: number(directive, to) };
    }
    case "edns0":
      return { isLast, field, option: readOptionRule(directive, words) };
    case "cname": {
      const { test, rest } = readTest(directive, words);
      const [to, ...more] = rest;
      if (to === undefined) return directive.fail("from and to are missing");
      refuseMore(directive, more);
      return { isLast, field, change: { test, to: target(directive, test, to) } };
    }
    case "ttl": {
      const { test, rest } = readTest(directive, words);
      const [seconds = "", ...more] = rest;
      refuseMore(directive, more);
      return { isLast, field, test, ...readSeconds(directive, seconds) };
    }
    case "rcode": {
      const { test, rest } = readTest(directive, words);
      const [from = "", to = "", ...more] = rest;
      refuseMore(directive, more);
      return {
        isLast,
        field,
        test,
        from: codeNumber(directive, from),
        to: codeNumber(directive, to),
      };
    }
    default:
      return directive.fail(
        `${field} is not supported; there are name, type, class, ttl, rcode, cname, edns0`,
      );
  }
}

function readName(
  directive: Directive,
  words: readonly string[],
): {
  readonly change: NameChange;
  readonly isAuto: boolean;
  readonly answerNames: readonly NameChange[];
  readonly answerValues: readonly NameChange[];
} {
  const { test, rest } = readTest(directive, words);
  const [to, ...options] = rest;
  if (to === undefined) return directive.fail("from and to are missing");
  const answerNames: NameChange[] = [];
  const answerValues: NameChange[] = [];
  let isAuto = false;
  for (let next = options.shift(); next !== undefined; next = options.shift()) {
    const what = options.shift();
    if (next === "answer" && what === "auto") {
      isAuto = true;
      continue;
    }
    const [from, into] = options.splice(0, 2);
    if (next !== "answer" || (what !== "name" && what !== "value") || into === undefined) {
      const text = [next, what, from, into].filter((word) => word !== undefined).join(" ");
      return directive.fail(
        `${text} is not supported; there are answer auto, answer name FROM TO, answer value FROM TO`,
      );
    }
    const pattern = readPattern(directive, from ?? "");
    const change: NameChange = { test: { match: "regex", pattern }, to: into };
    (what === "name" ? answerNames : answerValues).push(change);
  }
  const change = { test, to: target(directive, test, to) };
  return { change, isAuto, answerNames, answerValues };
}

/** A way to match, `exact` when none is named and no more words than needed are there, and the name. */
function readTest(
  directive: Directive,
  words: readonly string[],
): { readonly test: NameTest; readonly rest: readonly string[] } {
  const named = MATCHES.find((match) => match === words[0]);
  const isNamed = named !== undefined && words.length > 2;
  const match: Match = isNamed ? named : "exact";
  const [from, ...rest] = isNamed ? words.slice(1) : words;
  if (from === undefined) return directive.fail("from and to are missing");
  return { test: testOf(directive, match, from), rest };
}

function testOf(directive: Directive, match: Match, from: string): NameTest {
  switch (match) {
    case "exact":
    case "suffix":
      return { match, from: directive.zone(withoutFirstDot(from)) };
    case "prefix":
    case "substring":
      return { match, from: from.toLowerCase() };
    case "regex":
      return { match, pattern: readPattern(directive, from) };
  }
}

/** @returns the target's text, checked where it is a whole name. */
function target(directive: Directive, { match }: NameTest, to: string): string {
  if (match !== "exact" && match !== "suffix") return to;
  return formatDomainName(foldName(directive.zone(withoutFirstDot(to))));
}

function withoutFirstDot(text: string): string {
  return text.replace(/^\.(?=.)/, "");
}

/** @throws CorefileError that says what is wrong with the pattern. */
export function readPattern(directive: Directive, text: string): NamePattern {
  const pattern = parseNamePattern(text);
  return "problem" in pattern
    ? directive.fail(`${JSON.stringify(text)} cannot be used: ${pattern.problem}`)
    : pattern;
}

function readSeconds(
  directive: Directive,
  text: string,
): { readonly minSeconds: number; readonly maxSeconds: number } {
  const [, min = "", dash, max = ""] = /^(\d{0,9})(-?)(\d{0,9})$/.exec(text) ?? [];
  const minSeconds = Number(min);
  const maxSeconds = dash === "" ? minSeconds : max === "" ? MAX_TTL_SECONDS : Number(max);
  if (dash === undefined || (min === "" && max === "") || minSeconds > maxSeconds) {
    directive.fail(`${JSON.stringify(text)} is no number of seconds, or range such as 30-60`);
  }
  return { minSeconds, maxSeconds };
}

/** RFC 2181 section 8. */
const MAX_TTL_SECONDS = 0x7fff_ffff;

/** @throws CorefileError when there is no such type. */
export function typeNumber(directive: Directive, text: string): number {
  return (
    parseType(text) ?? directive.fail(`${JSON.stringify(text)} is no type such as A or TYPE1234`)
  );
}

function classNumber(directive: Directive, text: string): number {
  return (
    parseClass(text) ?? directive.fail(`${JSON.stringify(text)} is no class; there are IN, CH, HS`)
  );
}

/** @throws CorefileError when there is no such code. */
export function codeNumber(directive: Directive, text: string): number {
  const codes: Readonly<Record<string, number>> = RCODE;
  const code = Object.hasOwn(codes, text) ? codes[text] : undefined;
  return (
    code ?? directive.fail(`${JSON.stringify(text)} is none of ${Object.keys(RCODE).join(", ")}`)
  );
}

function refuseMore(directive: Directive, more: readonly string[]): void {
  if (more.length > 0) directive.fail(`${more.join(" ")} is too much here`);
}
