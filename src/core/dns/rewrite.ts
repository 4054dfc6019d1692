import { foldName, isWithin, sameName } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import type { ResourceRecord } from "./message.ts";

/** Another name is looked for than was asked for: CoreDNS's `rewrite name`. */
export interface RewriteRule {
  readonly match: "exact" | "suffix";
  /** Folded. */
  readonly from: DomainName;
  readonly to: DomainName;
  /** Whether rules behind this one are not looked at when it matched (`stop`). */
  readonly isLast: boolean;
}

/** A name after all rules, and the one that was asked for. */
export interface Rewritten {
  readonly name: DomainName;
  readonly asked: DomainName;
}

/** @returns undefined when no rule matches. A rule that would make a name too long does not. */
export function rewriteName(
  asked: DomainName,
  rules: readonly RewriteRule[],
): Rewritten | undefined {
  let name = asked;
  let isRewritten = false;
  for (const { match, from, to, isLast } of rules) {
    const folded = foldName(name);
    const isMatch = isWithin(folded, from) && (match === "suffix" || folded.length === from.length);
    if (!isMatch) continue;
    const next = [...name.slice(0, name.length - from.length), ...to];
    if (next.reduce((sum, label) => sum + label.length + 1, 1) > 255) continue;
    name = next;
    isRewritten = true;
    if (isLast) break;
  }
  return isRewritten ? { name, asked } : undefined;
}

/**
 * The records with the name that the client asked for in place of the one that was looked up: a resolver takes
 * no records of a name that it did not ask for. Other names stay, for aliases in the answer lead to them.
 */
export function restoreNames(
  records: readonly ResourceRecord[],
  { name, asked }: Rewritten,
): readonly ResourceRecord[] {
  return records.map((record) =>
    sameName(record.name, name) ? { ...record, name: asked } : record,
  );
}
