import { foldName, isWithin } from "./domain-name.ts";
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

/** A name after all rules, and what of it stands for what of the name that was asked for. */
export interface Rewritten {
  readonly name: DomainName;
  readonly changes: readonly { readonly from: DomainName; readonly to: DomainName }[];
}

/** @returns undefined when no rule matches. A rule that would make a name too long does not. */
export function rewriteName(
  name: DomainName,
  rules: readonly RewriteRule[],
): Rewritten | undefined {
  let current = name;
  const changes: { from: DomainName; to: DomainName }[] = [];
  for (const { match, from, to, isLast } of rules) {
    const folded = foldName(current);
    const isMatch = isWithin(folded, from) && (match === "suffix" || folded.length === from.length);
    if (!isMatch) continue;
    const at = current.length - from.length;
    const next = [...current.slice(0, at), ...to];
    if (next.reduce((sum, label) => sum + label.length + 1, 1) > 255) continue;
    changes.push({ from: current.slice(at), to });
    current = next;
    if (isLast) break;
  }
  return changes.length === 0 ? undefined : { name: current, changes };
}

/**
 * The records with the names that the client asked for in place of those that were looked up: a resolver takes
 * no records of a name that it did not ask for.
 */
export function restoreNames(
  records: readonly ResourceRecord[],
  { changes }: Rewritten,
): readonly ResourceRecord[] {
  const restored = (name: DomainName): DomainName => {
    let current = name;
    for (const { from, to } of changes.toReversed()) {
      if (isWithin(foldName(current), to)) {
        current = [...current.slice(0, current.length - to.length), ...from];
      }
    }
    return current;
  };
  return records.map((record) => {
    const name = restored(record.name);
    return name === record.name ? record : { ...record, name };
  });
}
