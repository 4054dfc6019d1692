import { parseCidr, singleAddress } from "../../../net/cidr.ts";
import type { Cidr } from "../../../net/cidr.ts";
import type { Directive } from "./directive.ts";

/** The `loadbalance` directive: which of several addresses comes first. */
export interface BalanceConfig {
  /** Ranges whose addresses come before others. */
  readonly prefer: readonly Cidr[];
  /** The file with weights, and how often it is looked at; 0 for never again. */
  readonly weighted: { readonly path: string; readonly reloadMs: number } | undefined;
}

/** `loadbalance [round_robin|weighted FILE] { reload DURATION prefer RANGE... }`. */
export function readBalance(directive: Directive): BalanceConfig {
  const policy = directive.oneOf("a policy", ["round_robin", "weighted"], "round_robin");
  const path = policy === "weighted" ? directive.required("the file of the weights") : undefined;
  let reloadMs = 30_000;
  let prefer: readonly Cidr[] = [];
  directive.options({
    reload: (option) => {
      if (path === undefined) option.fail("there is a file to look at only with weighted FILE");
      reloadMs = option.duration("a duration");
    },
    prefer: (option) => {
      prefer = option.rest().map((word) => parseCidr(word) ?? singleAddress(option.address(word)));
      if (prefer.length === 0) option.fail("a range is missing");
    },
  });
  return { prefer, weighted: path === undefined ? undefined : { path, reloadMs } };
}
