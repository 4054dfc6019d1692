import { field, list, map, message, present, quantity, string } from "../machinery/schema.ts";
import type { ValueOf } from "../machinery/schema.ts";

const V1 = "io.k8s.api.core.v1";

const resourceClaim = message(`${V1}.ResourceClaim`, "A claim of the Pod that is used here.", {
  name: present(1, string, { required: true }),
  request: field(2, string),
});

export const resourceRequirements = message(
  `${V1}.ResourceRequirements`,
  "How much a container needs and may use.",
  {
    limits: field(1, map(quantity), { description: "At most this much." }),
    requests: field(2, map(quantity), { description: "At least this much." }),
    claims: field(3, list(resourceClaim, { listType: "map", mapKeys: ["name"] })),
  },
);
export interface ResourceRequirements extends ValueOf<typeof resourceRequirements> {}
