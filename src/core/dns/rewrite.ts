import {
  foldName,
  formatDomainName,
  isShortEnough,
  isWithin,
  parseDomainName,
  sameName,
} from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import { TYPE } from "./message.ts";
import type { Question, RecordData, ResourceRecord } from "./message.ts";
import type { NamePattern } from "./name-pattern.ts";
import type { Reply } from "./reply.ts";
import type { OptionRule } from "./upstream-options.ts";

/** Which names a rule is for. Texts are of the whole name in small letters, with the last dot. */
export type NameTest =
  /** Whole labels. Folded. */
  | { readonly match: "exact" | "suffix"; readonly from: DomainName }
  | { readonly match: "prefix" | "substring"; readonly from: string }
  | { readonly match: "regex"; readonly pattern: NamePattern };

/** Another name for those that pass the test; `to` is text, with groups as `{1}` where the test is a pattern. */
export interface NameChange {
  readonly test: NameTest;
  readonly to: string;
}

/** CoreDNS's `rewrite`: what is looked for in place of what was asked for, and what becomes of the answer. */
export type RewriteRule = {
  /** Whether rules behind this one are not looked at when it matched (`stop`). */
  readonly isLast: boolean;
} & (
  | {
      readonly field: "name";
      readonly change: NameChange;
      /** Whether all names of the answer that end in what the rule put in get back what it took out. */
      readonly isAuto: boolean;
      /** For names of the answer's records, and names that these point to. */
      readonly answerNames: readonly NameChange[];
      readonly answerValues: readonly NameChange[];
    }
  | { readonly field: "type" | "class"; readonly from: number; readonly to: number }
  /** For what upstream servers are told beside the question. */
  | { readonly field: "edns0"; readonly option: OptionRule }
  /** For what aliases in the answer point to. */
  | { readonly field: "cname"; readonly change: NameChange }
  | {
      readonly field: "ttl";
      readonly test: NameTest;
      readonly minSeconds: number;
      readonly maxSeconds: number;
    }
  | {
      readonly field: "rcode";
      readonly test: NameTest;
      readonly from: number;
      readonly to: number;
    }
);

/** A question after all rules, and what is to be done with its answer. */
export interface Rewritten {
  readonly question: Question;
  readonly asked: Question;
  /** The rules that matched. */
  readonly rules: readonly RewriteRule[];
  /** What the rules took out of the end of names, and put in: the first was done last. */
  readonly ends: readonly { readonly out: DomainName; readonly in: DomainName }[];
}

/** @returns undefined when no rule matches. A rule that would make no name, or one too long, does not. */
export function rewriteQuestion(
  asked: Question,
  rules: readonly RewriteRule[],
): Rewritten | undefined {
  let question = asked;
  const matched: RewriteRule[] = [];
  const ends: Rewritten["ends"][number][] = [];
  for (const rule of rules) {
    const next = afterRule(question, rule);
    if (next === undefined) continue;
    if (rule.field === "name" && rule.isAuto) {
      const { test } = rule.change;
      const stays = test.match === "suffix" ? question.name.length - test.from.length : 0;
      ends.unshift({ out: question.name.slice(stays), in: next.name.slice(stays) });
    }
    question = next;
    matched.push(rule);
    if (rule.isLast) break;
  }
  return matched.length === 0 ? undefined : { question, asked, rules: matched, ends };
}

function afterRule(question: Question, rule: RewriteRule): Question | undefined {
  switch (rule.field) {
    case "name": {
      const name = changedName(question.name, rule.change);
      return name === undefined ? undefined : { ...question, name };
    }
    case "type":
      return question.type === rule.from ? { ...question, type: rule.to } : undefined;
    case "class":
      return question.class === rule.from ? { ...question, class: rule.to } : undefined;
    case "edns0":
      return question;
    case "cname":
      return hasAliases(question.type) ? question : undefined;
    case "ttl":
    case "rcode":
      return passes(question.name, rule.test) ? question : undefined;
  }
}

/** The types whose answers CoreDNS looks for aliases in. */
function hasAliases(type: number): boolean {
  return type === TYPE.A || type === TYPE.AAAA || type === TYPE.CNAME;
}

/**
 * The first of the aliases that a rule has another target for, which is looked up in place of what is behind it.
 * @returns undefined when there is none; else the records up to it.
 */
export function redirectAlias(
  answers: readonly ResourceRecord[],
  rules: readonly RewriteRule[],
): { readonly kept: readonly ResourceRecord[]; readonly target: DomainName } | undefined {
  const changes = rules.flatMap((rule) => (rule.field === "cname" ? [rule.change] : []));
  for (const [i, record] of answers.entries()) {
    const { data } = record;
    const target = data.kind === "CNAME" ? firstChange(data.target, changes) : undefined;
    if (target === undefined) continue;
    const changed: ResourceRecord = { ...record, data: { kind: "CNAME", target } };
    return { kept: [...answers.slice(0, i), changed], target };
  }
  return undefined;
}

/**
 * The answer as the client asked for it: with the name of its question in place of the one that was looked up,
 * for a resolver takes no records of a name that it did not ask for. Other names stay, for aliases in the answer
 * lead to them, but where a rule says otherwise.
 */
export function restoreReply<T extends Reply>(reply: T, rewritten: Rewritten): T {
  const { question, asked, rules } = rewritten;
  let { rcode } = reply;
  const names = rules.flatMap((rule) => (rule.field === "name" ? rule.answerNames : []));
  const values = rules.flatMap((rule) => (rule.field === "name" ? rule.answerValues : []));
  const ofClass = question.class === asked.class ? {} : { class: asked.class };
  const renamed = (record: ResourceRecord): ResourceRecord => ({
    ...record,
    ...ofClass,
    name: firstChange(record.name, names) ?? withOldEnd(record.name, rewritten),
    data: withNames(
      record.data,
      (name) => firstChange(name, values) ?? withOldEnd(name, rewritten),
    ),
  });
  let answers = (reply.answers ?? []).map((record) => {
    const restored = renamed(record);
    const isOwn =
      firstChange(record.name, names) === undefined && sameName(record.name, question.name);
    return isOwn ? { ...restored, name: asked.name } : restored;
  });
  let authority = (reply.authority ?? []).map(renamed);
  let additional = (reply.additional ?? []).map(renamed);
  for (const rule of rules) {
    if (rule.field === "rcode" && rule.from === rcode) rcode = rule.to;
    if (rule.field !== "ttl") continue;
    const { minSeconds, maxSeconds } = rule;
    const clamped = (record: ResourceRecord): ResourceRecord => ({
      ...record,
      ttlSeconds: Math.min(maxSeconds, Math.max(minSeconds, record.ttlSeconds)),
    });
    answers = answers.map(clamped);
    authority = authority.map(clamped);
    additional = additional.map(clamped);
  }
  return { ...reply, rcode, answers, authority, additional };
}

function firstChange(name: DomainName, changes: readonly NameChange[]): DomainName | undefined {
  for (const change of changes) {
    const changed = changedName(name, change);
    if (changed !== undefined) return changed;
  }
  return undefined;
}

function withOldEnd(name: DomainName, { ends }: Rewritten): DomainName {
  let restored = name;
  for (const end of ends) {
    const stays = restored.length - end.in.length;
    if (!isWithin(foldName(restored), foldName(end.in))) continue;
    const longer = [...restored.slice(0, stays), ...end.out];
    if (isShortEnough(longer)) restored = longer;
  }
  return restored;
}

/** The record's content with other names in it, of the types that clients look up. */
function withNames(data: RecordData, change: (name: DomainName) => DomainName): RecordData {
  if ("target" in data) return { ...data, target: change(data.target) };
  if (data.kind !== "other") return data;
  const parts = data.parts.map((part) => (part instanceof Uint8Array ? part : change(part)));
  return { ...data, parts };
}

function passes(name: DomainName, test: NameTest): boolean {
  const folded = foldName(name);
  switch (test.match) {
    case "exact":
      return sameName(folded, test.from);
    case "suffix":
      return isWithin(folded, test.from);
    case "prefix":
      return formatDomainName(folded).startsWith(test.from);
    case "substring":
      return formatDomainName(folded).includes(test.from);
    case "regex":
      return test.pattern.exec(formatDomainName(folded)) !== undefined;
  }
}

function changedName(name: DomainName, { test, to }: NameChange): DomainName | undefined {
  if (!passes(name, test)) return undefined;
  switch (test.match) {
    case "exact":
      return parseDomainName(to);
    case "suffix": {
      const end = parseDomainName(to);
      if (end === undefined) return undefined;
      const changed = [...name.slice(0, name.length - test.from.length), ...end];
      return isShortEnough(changed) ? changed : undefined;
    }
    case "prefix":
      return parseDomainName(to + formatDomainName(foldName(name)).slice(test.from.length));
    case "substring":
      return parseDomainName(formatDomainName(foldName(name)).replaceAll(test.from, () => to));
    case "regex": {
      const groups = test.pattern.exec(formatDomainName(foldName(name)))?.groups ?? [];
      const text = to.replaceAll(
        /\{(\d{1,3})\}/g,
        (_, number: string) => groups[Number(number)] ?? "",
      );
      return parseDomainName(text);
    }
  }
}
