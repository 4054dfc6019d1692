import { foldName, formatDomainName, isWithin } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import { CLASS_IN, RCODE, TYPE } from "./message.ts";
import type { Question, ResourceRecord } from "./message.ts";
import type { NameMatch, NamePattern } from "./name-pattern.ts";
import { parseRecord } from "./record-text.ts";
import type { Reply } from "./reply.ts";
import { formatType } from "./zone-text.ts";

/** Answers that are made from the question alone: CoreDNS's `template`. */
export interface Template {
  /** Folded. */
  readonly zones: readonly DomainName[];
  /** Undefined: any. */
  readonly type: number | undefined;
  /** Tried one after the other on the name in small letters, with its last dot. */
  readonly patterns: readonly NamePattern[];
  readonly answers: readonly TemplateText[];
  readonly authority: readonly TemplateText[];
  readonly additional: readonly TemplateText[];
  readonly rcode: number;
  /** Names in these that match no pattern are others' to answer; undefined: they do not exist. */
  readonly fallthrough: readonly DomainName[] | undefined;
}

/** Text with parts of the question in it. */
export type TemplateText = readonly TemplatePart[];

export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "name" | "class" | "type" | "zone" | "id" }
  | { readonly kind: "group"; readonly number: number }
  | { readonly kind: "namedGroup"; readonly name: string };

/**
 * Reads text with `{{ .Name }}`, `{{ .Class }}`, `{{ .Type }}`, `{{ .Zone }}`, `{{ .Question.Name }}`,
 * `{{ .Message.Id }}`, `{{ .Group.NAME }}` and `{{ index .Match N }}`: those of Go's templates that name a part of the
 * question.
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
    default:
      return undefined;
  }
}

/** What templates have to a question; `reason` says why it is SERVFAIL. */
export type Templated = Reply & { readonly reason?: string };

/** @returns undefined when others have to answer. */
export function answerFromTemplates(
  question: Question,
  id: number,
  templates: readonly Template[],
): Templated | undefined {
  if (question.class !== CLASS_IN) return undefined;
  const folded = foldName(question.name);
  for (const template of templates) {
    const { type, zones, patterns, fallthrough } = template;
    const zone = zones.find((each) => isWithin(folded, each));
    const isOfType = type === undefined || type === TYPE.ANY || type === question.type;
    if (zone === undefined || !isOfType) continue;
    const name = formatDomainName(folded);
    for (const pattern of patterns) {
      const match = pattern.exec(name);
      if (match !== undefined)
        return filled(template, { question, id, name, zone, pattern, match });
    }
    if (fallthrough === undefined || !fallthrough.some((each) => isWithin(folded, each))) {
      return { rcode: RCODE.NXDOMAIN, authoritative: true };
    }
  }
  return undefined;
}

interface Facts {
  readonly question: Question;
  readonly id: number;
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
  switch (part.kind) {
    case "text":
      return part.text;
    case "name":
      return facts.name;
    case "class":
      return "IN";
    case "type":
      return formatType(facts.question.type);
    case "zone":
      return formatDomainName(facts.zone);
    case "id":
      return String(facts.id);
    case "group":
      return facts.match.groups[part.number] ?? "";
    case "namedGroup":
      return facts.match.groups[facts.pattern.groupNames.get(part.name) ?? -1] ?? "";
  }
}
