import { DEFAULT_SERVICE_CIDR, isReadyServiceCidr } from "../api/networking/servicecidr.ts";
import type { ServiceCIDR } from "../api/networking/servicecidr.ts";
import { parseCidr } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import type { KindCache } from "./kind-cache.ts";

/**
 * The ranges that new cluster IPs may come from: those of all ServiceCIDRs that are ready (ALLOC-016, ALLOC-017),
 * the cluster's own first, the others by name.
 * @param serviceCidrs undefined where the kind is not served: then the server's own ranges are all there is.
 */
export function usableCidrs(
  serviceCidrs: KindCache | undefined,
  own: readonly Cidr[],
): () => readonly Cidr[] {
  if (serviceCidrs === undefined) return () => own;
  let known: readonly Cidr[] | undefined;
  serviceCidrs.observe(() => (known = undefined));
  return () => (known ??= readyRanges(serviceCidrs));
}

function readyRanges(serviceCidrs: KindCache): readonly Cidr[] {
  const first: Cidr[] = [];
  const others: Cidr[] = [];
  for (const { object } of serviceCidrs.range("")) {
    // The cache of this kind holds nothing else.
    const serviceCidr = object as ServiceCIDR;
    if (!isReadyServiceCidr(serviceCidr)) continue;
    const ranges = (serviceCidr.spec.cidrs ?? []).flatMap((text) => parseCidr(text) ?? []);
    (object.metadata.name === DEFAULT_SERVICE_CIDR ? first : others).push(...ranges);
  }
  return [...first, ...others];
}
