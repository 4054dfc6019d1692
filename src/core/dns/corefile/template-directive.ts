import type { DomainName } from "../domain-name.ts";
import { RCODE, TYPE } from "../message.ts";
import type { NamePattern } from "../name-pattern.ts";
import { RECORD_TEXT_TYPES } from "../record-text.ts";
import { parseClass } from "../record-type.ts";
import { parseTemplateText } from "../template.ts";
import type { Template, TemplateText } from "../template.ts";
import type { Directive } from "./directive.ts";
import { codeNumber, readPattern, typeNumber } from "./rewrite-directive.ts";

/** `template CLASS TYPE [ZONE...] { match REGEX... answer RECORD ... rcode CODE fallthrough [ZONE...] }`. */
export function readTemplate(
  directive: Directive,
  zonesOf: (text: string) => readonly DomainName[],
  blockZones: readonly DomainName[],
): Template {
  const ofClass = directive.required("a class, such as IN or ANY,");
  const isAnyClass = ofClass.toUpperCase() === "ANY";
  const number = parseClass(ofClass);
  if (number === undefined && !isAnyClass) {
    directive.fail(`${JSON.stringify(ofClass)} is no class; there are IN, CH, HS, ANY`);
  }
  const type = typeNumber(directive, directive.required("a type, such as A or ANY,"));
  const zones = directive.rest().flatMap(zonesOf);
  const patterns: NamePattern[] = [];
  const answers: TemplateText[] = [];
  const authority: TemplateText[] = [];
  const additional: TemplateText[] = [];
  let rcode: number = RCODE.NOERROR;
  let fallthrough: readonly DomainName[] | undefined;
  const checks: (() => void)[] = [];
  const record = (into: TemplateText[]) => (option: Directive) => {
    const text = readText(option, checks, patterns);
    into.push(text);
  };
  directive.options({
    match: (option) => {
      const sources = option.rest();
      if (sources.length === 0) option.fail("a pattern is missing");
      patterns.push(...sources.map((source) => readPattern(option, source)));
    },
    answer: record(answers),
    authority: record(authority),
    additional: record(additional),
    rcode: (option) => {
      rcode = codeNumber(option, option.required("a code").toUpperCase());
    },
    fallthrough: (option) => {
      const into = option.rest().flatMap(zonesOf);
      fallthrough = into.length === 0 ? [[]] : into;
    },
  });
  if (patterns.length === 0) patterns.push(readPattern(directive, ".*"));
  for (const check of checks) check();
  return {
    zones: zones.length === 0 ? blockZones : zones,
    class: number,
    type: type === TYPE.ANY ? undefined : type,
    patterns,
    answers,
    authority,
    additional,
    rcode,
    fallthrough,
  };
}

function readText(
  option: Directive,
  checks: (() => void)[],
  patterns: readonly NamePattern[],
): TemplateText {
  const text = option.rest().join(" ");
  if (text === "") option.fail("a record is missing");
  const parsed = parseTemplateText(text);
  if ("problem" in parsed) return option.fail(parsed.problem);
  // The type is hardly ever a part of the question; of the rest, each question shows what it makes.
  const words = text.replaceAll(/\{\{.*?\}\}/gs, "x").split(/\s+/);
  const types: readonly string[] = RECORD_TEXT_TYPES;
  if (!words.some((word) => types.includes(word.toUpperCase()))) {
    option.fail(`there are records of the types ${RECORD_TEXT_TYPES.join(", ")}`);
  }
  checks.push(() => {
    for (const part of parsed) {
      const fact = part.kind === "number" ? part.of : part;
      const known = patterns.some(({ groups, groupNames }) =>
        fact.kind === "group"
          ? fact.number <= groups
          : fact.kind !== "namedGroup" || groupNames.has(fact.name),
      );
      if (known) continue;
      option.fail(
        fact.kind === "group"
          ? `no pattern has ${String(fact.number)} groups`
          : `no pattern has a group of the name ${fact.kind === "namedGroup" ? fact.name : ""}`,
      );
    }
  });
  return parsed;
}
