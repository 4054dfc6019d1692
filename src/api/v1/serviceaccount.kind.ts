import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { serviceAccount } from "./serviceaccount.ts";
import type { ServiceAccount } from "./serviceaccount.ts";

export const serviceAccountKind: KindDefinition<ServiceAccount> = {
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  singular: "serviceaccount",
  shortNames: ["sa"],
  categories: [],
  namespaced: true,
  schema: serviceAccount,
  columns: [
    NAME_COLUMN,
    {
      name: "Secrets",
      type: "string",
      description: "Number of Secrets that its Pods may use.",
      priority: 0,
      cell: (object) => object.secrets?.length ?? 0,
    },
    AGE_COLUMN,
  ],
  selectableFields: [],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: (object) => withZeroValues(serviceAccount, object),
    validateCreate: () => [],
    validateUpdate: () => [],
    unconditionalUpdate: false,
  },
};
