import type { Service } from "../../api/v1/service.ts";
import { parseCidr } from "../../net/cidr.ts";
import type { Cidr } from "../../net/cidr.ts";

const ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges";
const ANYWHERE = "0.0.0.0/0";

export type SourceRanges =
  | { readonly kind: "ranges"; readonly ranges: readonly Cidr[] }
  /** The annotation cannot be read; the message is upstream's. */
  | { readonly kind: "malformed"; readonly message: string };

/**
 * From where a Service's load balancer may be reached: as the field says, else as the annotation says, else from
 * anywhere (LB-018).
 */
export function sourceRangesOf({ metadata, spec }: Service): SourceRanges {
  const annotation = (metadata.annotations?.[ANNOTATION] ?? "").trim();
  const field = spec.loadBalancerSourceRanges ?? [];
  const texts = field.length > 0 ? field : (annotation || ANYWHERE).split(",");
  const ranges: Cidr[] = [];
  for (const text of texts) {
    const range = parseCidr(text.trim());
    if (range === undefined) {
      const message = `${ANNOTATION}: ${annotation} is not valid. Expecting a comma-separated list of source IP ranges. For example, 10.0.0.0/24,192.168.2.0/24`;
      return { kind: "malformed", message };
    }
    ranges.push(range);
  }
  return { kind: "ranges", ranges };
}
