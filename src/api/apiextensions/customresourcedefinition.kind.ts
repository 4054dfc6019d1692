import { NAME_COLUMN } from "../machinery/cells.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { PLAIN_STRATEGY, keepAllButStatus, keepStatus } from "../machinery/strategy.ts";
import {
  defaultCustomResourceDefinition,
  withStoredVersion,
} from "./customresourcedefinition.defaults.ts";
import { customResourceDefinition } from "./customresourcedefinition.ts";
import type { CustomResourceDefinition } from "./customresourcedefinition.ts";
import {
  definitionWarnings,
  validateDefinition,
  validateDefinitionStatus,
  validateDefinitionUpdate,
} from "./customresourcedefinition.validation.ts";

export const customResourceDefinitionKind: KindDefinition<CustomResourceDefinition> = {
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  singular: "customresourcedefinition",
  shortNames: ["crd", "crds"],
  categories: ["api-extensions"],
  namespaced: false,
  schema: customResourceDefinition,
  columns: [
    NAME_COLUMN,
    {
      name: "Created At",
      type: "date",
      description: "When it was created.",
      priority: 0,
      cell: (object) => object.metadata.creationTimestamp ?? "",
    },
  ],
  selectableFields: [],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: defaultCustomResourceDefinition,
    prepareForCreate: (object) => withStoredVersion({ ...object, status: undefined }),
    prepareForUpdate: (object, old) => withStoredVersion(keepStatus(object, old)),
    prepareForStatusUpdate: keepAllButStatus,
    validateCreate: validateDefinition,
    validateUpdate: validateDefinitionUpdate,
    validateStatusUpdate: validateDefinitionStatus,
    warnings: definitionWarnings,
    plainFinalizers: true,
    unconditionalUpdate: false,
    generation: "spec",
  },
};
