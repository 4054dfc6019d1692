import type { IpAddress } from "../../net/address.ts";
import { cidrContains } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";
import { foldName, isWithin } from "./domain-name.ts";
import type { DomainName } from "./domain-name.ts";
import type { Question } from "./message.ts";

export const ACCESS_ACTIONS = ["allow", "block", "filter", "drop"] as const;
/** `block` refuses, `filter` says that there is nothing of the type, `drop` gives no answer. */
export type AccessAction = (typeof ACCESS_ACTIONS)[number];

/** Who may ask what in some zones: CoreDNS's `acl`. */
export interface AccessRule {
  /** Folded. */
  readonly zones: readonly DomainName[];
  /** The first that is for a question decides. */
  readonly policies: readonly {
    readonly action: AccessAction;
    /** Undefined: all. */
    readonly types: readonly number[] | undefined;
    readonly sources: readonly Cidr[] | undefined;
  }[];
}

/** @returns `allow` where no rule says otherwise. */
export function accessOf(
  rules: readonly AccessRule[],
  { name, type }: Question,
  source: IpAddress | undefined,
): AccessAction {
  const folded = foldName(name);
  for (const { zones, policies } of rules) {
    if (!zones.some((zone) => isWithin(folded, zone))) continue;
    const policy = policies.find(
      ({ types, sources }) =>
        (types === undefined || types.includes(type)) &&
        (sources === undefined ||
          (source !== undefined && sources.some((cidr) => cidrContains(cidr, source)))),
    );
    if (policy !== undefined) return policy.action;
  }
  return "allow";
}
