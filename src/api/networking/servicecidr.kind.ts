import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { keepAllButStatus, keepStatus, PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { serviceCidr } from "./servicecidr.ts";
import type { ServiceCIDR } from "./servicecidr.ts";
import { validateServiceCidr, validateServiceCidrUpdate } from "./servicecidr.validation.ts";

export const serviceCidrKind: KindDefinition<ServiceCIDR> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "ServiceCIDR",
  plural: "servicecidrs",
  singular: "servicecidr",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: serviceCidr,
  columns: [
    NAME_COLUMN,
    {
      name: "CIDRs",
      type: "string",
      description: "Its ranges.",
      priority: 0,
      cell: (object) => (object.spec.cidrs ?? []).join(","),
    },
    AGE_COLUMN,
  ],
  selectableFields: [],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: (object) => withZeroValues(serviceCidr, object),
    // A create cannot bring a status.
    prepareForCreate: (object) => ({ ...object, status: {} }),
    prepareForUpdate: keepStatus,
    prepareForStatusUpdate: keepAllButStatus,
    validateCreate: validateServiceCidr,
    validateUpdate: validateServiceCidrUpdate,
    validateStatusUpdate: () => [],
  },
};
