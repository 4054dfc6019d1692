import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import { invalid } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { validateNonNegative } from "../machinery/metadata.validation.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { lease } from "./lease.ts";
import type { Lease } from "./lease.ts";

function validate({ spec }: Lease): readonly FieldError[] {
  const path = "spec.leaseDurationSeconds";
  const seconds = spec.leaseDurationSeconds;
  return [
    ...(seconds !== undefined && seconds <= 0
      ? [invalid(path, seconds, "must be greater than 0")]
      : []),
    ...validateNonNegative(spec.leaseTransitions, "spec.leaseTransitions"),
  ];
}

export const leaseKind: KindDefinition<Lease> = {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  singular: "lease",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: lease,
  columns: [
    NAME_COLUMN,
    {
      name: "Holder",
      type: "string",
      description: "Who holds it.",
      priority: 0,
      cell: (object) => object.spec.holderIdentity ?? "",
    },
    AGE_COLUMN,
  ],
  selectableFields: [],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: (object) => withZeroValues(lease, object),
    validateCreate: validate,
    validateUpdate: validate,
    createOnUpdate: true,
    unconditionalUpdate: false,
  },
};
