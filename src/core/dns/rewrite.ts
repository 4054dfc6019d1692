import {
  foldName,
  formatDomainName,
  isShortEnough,
  isWithin,
  parseDomainName,
  sameName,
} from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import type { Question, RecordData, ResourceRecord } from "./message.ts";
import type { NamePattern } from "./name-pattern.ts";
import type { Reply } from "./reply.ts";

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
      /** For names of the answer's records, and names that these point to. */
      readonly answerNames: readonly NameChange[];
      readonly answerValues: readonly NameChange[];
    }
  | { readonly field: "type"; readonly from: number; readonly to: number }
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
}

/** @returns undefined when no rule matches. A rule that would make no name, or one too long, does not. */
export function rewriteQuestion(
  asked: Question,
  rules: readonly RewriteRule[],
): Rewritten | undefined {
  let question = asked;
  const matched: RewriteRule[] = [];
  for (const rule of rules) {
    const next = afterRule(question, rule);
    if (next === undefined) continue;
    question = next;
    matched.push(rule);
    if (rule.isLast) break;
  }
  return matched.length === 0 ? undefined : { question, asked, rules: matched };
}

function afterRule(question: Question, rule: RewriteRule): Question | undefined {
  switch (rule.field) {
    case "name": {
      const name = changedName(question.name, rule.change);
      return name === undefined ? undefined : { ...question, name };
    }
    case "type":
      return question.type === rule.from ? { ...question, type: rule.to } : undefined;
    case "ttl":
    case "rcode":
      return passes(question.name, rule.test) ? question : undefined;
  }
}

/**
 * The answer as the client asked for it: with the name of its question in place of the one that was looked up,
 * for a resolver takes no records of a name that it did not ask for. Other names stay, for aliases in the answer
 * lead to them, but where a rule says otherwise.
 */
export function restoreReply<T extends Reply>(reply: T, { question, asked, rules }: Rewritten): T {
  let { rcode } = reply;
  let { answers = [], authority = [], additional = [] } = reply;
  const names = rules.flatMap((rule) => (rule.field === "name" ? rule.answerNames : []));
  const values = rules.flatMap((rule) => (rule.field === "name" ? rule.answerValues : []));
  answers = answers.map((record) => ({
    ...record,
    name:
      firstChange(record.name, names) ??
      (sameName(record.name, question.name) ? asked.name : record.name),
    data: withTarget(record.data, (target) => firstChange(target, values) ?? target),
  }));
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

function withTarget(data: RecordData, change: (target: DomainName) => DomainName): RecordData {
  return "target" in data ? { ...data, target: change(data.target) } : data;
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
