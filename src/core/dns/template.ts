import { foldName, formatDomainName, isWithin } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import { RCODE, TYPE } from "./message.ts";
import type { Question, ResourceRecord } from "./message.ts";
import type { NameMatch, NamePattern } from "./name-pattern.ts";
import { parseRecord } from "./record-text.ts";
import type { Reply } from "./reply.ts";
import { formatClass, formatType } from "./record-type.ts";

/** Answers that are made from the question alone: CoreDNS's `template`. */
export interface Template {
  /** Folded. */
  readonly zones: readonly DomainName[];
  /** Undefined: any. */
  readonly class: number | undefined;
  readonly type: number | undefined;
  /** Tried one after the other on the name in small letters, with its last dot. */
  readonly patterns: readonly NamePattern[];
  readonly answers: readonly TemplateText[];
  readonly authority: readonly TemplateText[];
  readonly additional: readonly TemplateText[];
  readonly rcode: number;
  /** Names in these that match no pattern are others' to answer; for those in none it is a failure, as in CoreDNS. */
  readonly fallthrough: readonly DomainName[] | undefined;
}

/** Text with parts of the question in it. */
export type TemplateText = readonly TemplatePart[];

export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  | TemplateFact
  /** What the fact says, read as a whole number from 0 in this base, and written in decimals. */
  | {
      readonly kind: "number";
      readonly of: TemplateFact;
      readonly base: number;
      readonly bits: number;
    };

type TemplateFact =
  | { readonly kind: "name" | "class" | "type" | "zone" | "id" | "remote" }
  | { readonly kind: "group"; readonly number: number }
  | { readonly kind: "namedGroup"; readonly name: string };

/**
 * Reads text with `{{ .Name }}`, `{{ .Class }}`, `{{ .Type }}`, `{{ .Zone }}`, `{{ .Remote }}`, `{{ .Question.Name }}`,
 * `{{ .Message.Id }}`, `{{ .Group.NAME }}` and `{{ index .Match N }}`: those of Go's templates that name a part of the
 * question. Of functions there is CoreDNS's own, as in `{{ parseInt .Group.NAME 16 8 }}`: base and bits of a number.
 * @returns what it does not know, in words.
 */
export function parseTemplateText(text: string): TemplateText | { readonly problem: string } {
  const parts: TemplatePart[] = [];
  let end = 0;
  for (const match of text.matchAll(/\{\{-?\s*(.*?)\s*-?\}\}/gs)) {
    const [whole, expression = ""] = match;
    const part = expressionPart(expression);
    if (part === undefined) return { problem: `${whole} is not supported` };
    if (match.index > end) parts.push({ kind: "text", text: text.slice(end, match.index) });
    parts.push(part);
    end = match.index + whole.length;
  }
  if (end < text.length) parts.push({ kind: "text", text: text.slice(end) });
  return parts;
}

function expressionPart(expression: string): TemplatePart | undefined {
  const [, inner, base, bits] = /^parseInt (.+?) (\d{1,2}) (\d{1,2})$/.exec(expression) ?? [];
  if (inner === undefined) return expressionFact(expression);
  const of = expressionFact(/^\((.*)\)$/.exec(inner)?.[1]?.trim() ?? inner.trim());
  // As Go: base 0 would be said by the text itself, which nobody needs here.
  const isNumber = Number(base) >= 2 && Number(base) <= 36 && Number(bits) <= 64;
  if (of === undefined || !isNumber) return undefined;
  return { kind: "number", of, base: Number(base), bits: Number(bits) === 0 ? 64 : Number(bits) };
}

function expressionFact(expression: string): TemplateFact | undefined {
  const named = /^\.Group\.(\w+)$/.exec(expression)?.[1];
  if (named !== undefined) return { kind: "namedGroup", name: named };
  const number = /^index \.Match (\d{1,3})$/.exec(expression)?.[1];
  if (number !== undefined) return { kind: "group", number: Number(number) };
  switch (expression) {
    case ".Name":
    case ".Question.Name":
      return { kind: "name" };
    case ".Class":
      return { kind: "class" };
    case ".Type":
      return { kind: "type" };
    case ".Zone":
      return { kind: "zone" };
    case ".Message.Id":
      return { kind: "id" };
    case ".Remote":
      return { kind: "remote" };
    default:
      return undefined;
  }
}

/** What templates have to a question; `reason` says why it is SERVFAIL. */
export type Templated = Reply & { readonly reason?: string };

/** Of a message, what texts may have beside its question. */
export interface TemplateAsker {
  readonly id: number;
  /** The address that it came from. */
  readonly remote: string;
}

/** @returns undefined when others have to answer. */
export function answerFromTemplates(
  question: Question,
  asker: TemplateAsker,
  templates: readonly Template[],
): Templated | undefined {
  const folded = foldName(question.name);
  for (const template of templates) {
    const { zones, patterns, fallthrough } = template;
    const zone = zones.find((each) => isWithin(folded, each));
    if (zone === undefined || !isFor(template, question)) continue;
    const name = formatDomainName(folded);
    for (const pattern of patterns) {
      const match = pattern.exec(name);
      if (match !== undefined)
        return filled(template, { question, asker, name, zone, pattern, match });
    }
    if (fallthrough === undefined || !fallthrough.some((each) => isWithin(folded, each))) {
      const reason = "a template is for the name's zone, but none of its patterns matches";
      return { rcode: RCODE.SERVFAIL, reason };
    }
  }
  return undefined;
}

/** Whoever asks for any class or type is answered by all templates, as by CoreDNS. */
function isFor(template: Template, question: Question): boolean {
  const isOfClass = template.class === undefined || question.class === CLASS_ANY;
  const isOfType = template.type === undefined || question.type === TYPE.ANY;
  return (
    (isOfClass || template.class === question.class) &&
    (isOfType || template.type === question.type)
  );
}

/** RFC 1035 section 3.2.5. */
const CLASS_ANY = 255;

interface Facts {
  readonly question: Question;
  readonly asker: TemplateAsker;
  readonly name: string;
  readonly zone: DomainName;
  readonly pattern: NamePattern;
  readonly match: NameMatch;
}

function filled({ rcode, ...template }: Template, facts: Facts): Templated {
  const records: ResourceRecord[][] = [];
  for (const texts of [template.answers, template.authority, template.additional]) {
    const section: ResourceRecord[] = [];
    for (const each of texts) {
      const text = each.map((part) => partText(part, facts)).join("");
      const record = parseRecord(text);
      if (record === undefined) {
        return { rcode: RCODE.SERVFAIL, reason: `${JSON.stringify(text)} is no record` };
      }
      // In the letters of the question: a resolver takes no answer for another name.
      const isOwn = formatDomainName(foldName(record.name)) === facts.name;
      section.push(isOwn ? { ...record, name: facts.question.name } : record);
    }
    records.push(section);
  }
  const [answers = [], authority = [], additional = []] = records;
  return { rcode, authoritative: true, answers, authority, additional };
}

function partText(part: TemplatePart, facts: Facts): string {
  if (part.kind === "text") return part.text;
  return part.kind === "number"
    ? parseNumber(factText(part.of, facts), part.base, part.bits)
    : factText(part, facts);
}

function factText(fact: TemplateFact, { question, asker, ...facts }: Facts): string {
  switch (fact.kind) {
    case "name":
      return facts.name;
    case "class":
      return formatClass(question.class);
    case "type":
      return formatType(question.type);
    case "zone":
      return formatDomainName(facts.zone);
    case "id":
      return String(asker.id);
    case "remote":
      return asker.remote;
    case "group":
      return facts.match.groups[fact.number] ?? "";
    case "namedGroup":
      return facts.match.groups[facts.pattern.groupNames.get(fact.name) ?? -1] ?? "";
  }
}

/** @returns text that is in no record when it is no such number. */
function parseNumber(text: string, base: number, bits: number): string {
  let value = 0n;
  for (const digit of text) {
    const worth = "0123456789abcdefghijklmnopqrstuvwxyz".indexOf(digit.toLowerCase());
    value = value * BigInt(base) + BigInt(worth);
    if (worth < 0 || worth >= base || value >= 1n << BigInt(bits)) return NO_NUMBER;
  }
  return text === "" ? NO_NUMBER : String(value);
}

/** A quote that is not closed. */
const NO_NUMBER = '"';
