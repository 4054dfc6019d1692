import { condition, objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, list, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const NETWORKING = "io.k8s.api.networking.v1";

/** Keeps a ServiceCIDR until no address needs it (ALLOC-018). */
export const SERVICE_CIDR_FINALIZER = "networking.k8s.io/service-cidr-finalizer";
/** Name of the ServiceCIDR that the API server makes of its own ranges (ALLOC-015). */
export const DEFAULT_SERVICE_CIDR = "kubernetes";
/** Condition of a ServiceCIDR: new addresses may come from it (ALLOC-016, ALLOC-017). */
export const SERVICE_CIDR_READY = "Ready";

const serviceCidrSpec = message(`${NETWORKING}.ServiceCIDRSpec`, "Ranges of cluster IPs.", {
  cidrs: field(1, list(string), {
    description: "One range, or one of each family; the first of them cannot change.",
  }),
});

const serviceCidrStatus = message(
  `${NETWORKING}.ServiceCIDRStatus`,
  "Whether the ranges are in use.",
  {
    conditions: field(
      1,
      list(condition, { listType: "map", mapKeys: ["type"], mergeKey: "type" }),
      { description: "Ready: new Services may get addresses of the ranges." },
    ),
  },
);

export const serviceCidr = message(
  `${NETWORKING}.ServiceCIDR`,
  "Ranges from which Services get their cluster IPs.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    spec: present(2, serviceCidrSpec, { description: "The ranges." }),
    status: field(3, serviceCidrStatus, { description: "Whether they are in use." }),
  },
);
export interface ServiceCIDR extends ValueOf<typeof serviceCidr> {}

/** Whether new addresses may come from it (ALLOC-017). */
export function isReadyServiceCidr({ metadata, status }: ServiceCIDR): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  const ready = status?.conditions?.find(({ type }) => type === SERVICE_CIDR_READY);
  return ready?.status !== "False";
}
