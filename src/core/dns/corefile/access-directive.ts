import { parseCidr, singleAddress } from "../../../net/cidr.ts";
import type { Cidr } from "../../../net/cidr.ts";
import { ACCESS_ACTIONS } from "../access.ts";
import type { AccessRule } from "../access.ts";
import type { DomainName } from "../domain-name.ts";
import { TYPE } from "../message.ts";
import type { Directive } from "./directive.ts";
import { typeNumber } from "./rewrite-directive.ts";

type Policy = AccessRule["policies"][number];

/** `acl [ZONE...] { ACTION [type TYPE...] [net SOURCE...] }`. */
export function readAccess(
  directive: Directive,
  zonesOf: (text: string) => readonly DomainName[],
  blockZones: readonly DomainName[],
): AccessRule {
  const zones = directive.rest().flatMap(zonesOf);
  const policies: Policy[] = [];
  const readers = ACCESS_ACTIONS.map(
    (action) =>
      [action, (option: Directive) => policies.push({ action, ...readScope(option) })] as const,
  );
  directive.options(Object.fromEntries(readers));
  if (policies.length === 0) directive.fail("allow, block, filter or drop is missing");
  return { zones: zones.length === 0 ? blockZones : zones, policies };
}

function readScope(option: Directive): Omit<Policy, "action"> {
  let types: number[] | undefined;
  let sources: Cidr[] | undefined;
  let current: "type" | "net" | undefined;
  for (const word of option.rest()) {
    if (word === "type" || word === "net") {
      current = word;
      if (word === "type") types = [];
      else sources = [];
    } else if (current === "type") {
      types?.push(word === "*" ? TYPE.ANY : typeNumber(option, word));
    } else if (current === "net") {
      const everybody = word === "*" ? ["0.0.0.0/0", "::/0"] : [word];
      for (const each of everybody) {
        sources?.push(parseCidr(each) ?? singleAddress(option.address(each)));
      }
    } else option.fail(`${JSON.stringify(word)} is not supported; there are type, net`);
  }
  if (types?.length === 0) option.fail("a type is missing");
  if (sources?.length === 0) option.fail("an address or range is missing");
  return { types: types?.includes(TYPE.ANY) === true ? undefined : types, sources };
}
