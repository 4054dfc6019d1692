import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, message, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const NETWORKING = "io.k8s.api.networking.v1";

/** Label with the family of an IPAddress (ALLOC-011). */
export const IP_FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family";
/** Label that says who made an IPAddress, and so may take it away (ALLOC-011). */
export const MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by";
/** The value of {@link MANAGED_BY_LABEL} for addresses that Services got. */
export const IP_ALLOCATOR = "ipallocator.k8s.io";

const parentReference = message(`${NETWORKING}.ParentReference`, "Names an object of any kind.", {
  group: field(1, string, { description: "API group of the object; empty is the core group." }),
  resource: field(2, string, { description: "Plural name of its kind, e.g. services." }),
  namespace: field(3, string, { description: "Its namespace, where it has one." }),
  name: field(4, string, { description: "Its name." }),
});
export interface ParentReference extends ValueOf<typeof parentReference> {}

const ipAddressSpec = message(`${NETWORKING}.IPAddressSpec`, "What an address is used for.", {
  parentRef: field(1, parentReference, {
    required: true,
    description: "The object that holds the address; cannot change.",
  }),
});

export const ipAddress = message(
  `${NETWORKING}.IPAddress`,
  "One address in use: while the object is there, nobody else gets the address that is its name.",
  {
    ...typeFields,
    metadata: present(1, objectMeta, { description: "What every object carries." }),
    spec: present(2, ipAddressSpec, { description: "What the address is used for." }),
  },
);
export interface IPAddress extends ValueOf<typeof ipAddress> {}
