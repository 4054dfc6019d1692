import { objectMeta, typeFields } from "../machinery/metadata.ts";
import { field, int32, message, microTime, present, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const COORDINATION = "io.k8s.api.coordination.v1";

const leaseSpec = message(`${COORDINATION}.LeaseSpec`, "Who holds a lease, and how long.", {
  holderIdentity: field(1, string, { pointer: true, description: "Who holds it." }),
  leaseDurationSeconds: field(2, int32, {
    pointer: true,
    description: "Seconds after renewTime when others may take it.",
  }),
  acquireTime: field(3, microTime, { description: "When the holder took it." }),
  renewTime: field(4, microTime, { description: "When the holder last renewed it." }),
  leaseTransitions: field(5, int32, {
    pointer: true,
    description: "How often the holder changed.",
  }),
  strategy: field(6, string, {
    pointer: true,
    description: "How a coordinated election picks its leader.",
  }),
  preferredHolder: field(7, string, {
    pointer: true,
    description: "To whom the holder should give it.",
  }),
});
export interface LeaseSpec extends ValueOf<typeof leaseSpec> {}

export const lease = message(`${COORDINATION}.Lease`, "A claim that must be renewed to last.", {
  ...typeFields,
  metadata: present(1, objectMeta, { description: "What every object carries." }),
  spec: present(2, leaseSpec, { description: "Who holds it, and how long." }),
});
export interface Lease extends ValueOf<typeof lease> {}
