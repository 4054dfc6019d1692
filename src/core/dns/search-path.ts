import { objectKey } from "../../api/machinery/object-key.ts";
import type { DnsIndex } from "./dns-index.ts";
import type { DomainName } from "./domain-name.ts";

/** A name that a resolver completed with the first domain of a Pod's search list. */
export interface CompletedName {
  /** What the program asked for. */
  readonly base: DomainName;
  /** What the resolver would ask for next, one after the other, if this name did not exist. */
  readonly candidates: readonly DomainName[];
}

/**
 * Reads `<base>.<namespace>.svc.<zone>` as what it is when a Pod's resolver asks for it: the first step through
 * the search list `<namespace>.svc.<zone> svc.<zone> <zone> <host's domains>`, which `ndots:5` makes it go
 * through for nearly every name. The name holds all that is to be known of that list, so nobody looks at who
 * asks, and every server decides alike. To be called for names that do not exist.
 *
 * @param labels what is left of the zone, folded; `name` is the same with the zone, as it was asked for.
 * @param hostSearch the domains that Pods inherit from their host.
 * @returns undefined when the name is not such a step: what is below a Service of the namespace belongs to that
 * Service, and may be missing for a moment only (a Pod that is not ready must not become a name of the Internet).
 */
export function readCompletedName(
  labels: DomainName,
  name: DomainName,
  index: DnsIndex,
  hostSearch: readonly DomainName[],
): CompletedName | undefined {
  if (labels.length < 3 || labels.at(-1) !== "svc") return undefined;
  const namespace = labels.at(-2) ?? "";
  const nearest = labels.at(-3) ?? "";
  // Names of ports are asked for in full.
  if (nearest.startsWith("_") || !index.hasNamespace(namespace)) return undefined;
  if (index.service(objectKey({ namespace, name: nearest })) !== undefined) return undefined;
  const base = name.slice(0, labels.length - 2);
  const zone = name.slice(labels.length);
  return {
    base,
    candidates: [
      [...base, ...name.slice(labels.length - 1)],
      [...base, ...zone],
      ...hostSearch.map((domain) => [...base, ...domain]),
      // A name without a dot is nobody's on the Internet, and asking would tell others what is looked for here.
      ...(base.length > 1 ? [base] : []),
    ],
  };
}
