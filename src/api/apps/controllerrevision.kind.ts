import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import type { FieldError } from "../machinery/field-error.ts";
import { required } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import type { KubernetesObject } from "../machinery/metadata.ts";
import { validateNonNegative } from "../machinery/metadata.validation.ts";
import { PLAIN_STRATEGY } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { controllerRevision } from "./controllerrevision.ts";
import type { ControllerRevision } from "./controllerrevision.ts";
import { column } from "./workload.columns.ts";
import { validateImmutable } from "./workload.validation.ts";

function controllerOf({ metadata }: KubernetesObject): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined) return "<none>";
  const group = owner.apiVersion.includes("/") ? `.${owner.apiVersion.split("/")[0] ?? ""}` : "";
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
}

function validate({ data, revision }: ControllerRevision): readonly FieldError[] {
  return [
    ...(data === undefined ? [required("data", "data is mandatory")] : []),
    ...validateNonNegative(revision, "revision"),
  ];
}

export const controllerRevisionKind: KindDefinition<ControllerRevision> = {
  group: "apps",
  version: "v1",
  kind: "ControllerRevision",
  plural: "controllerrevisions",
  singular: "controllerrevision",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: controllerRevision,
  columns: [
    NAME_COLUMN,
    column("Controller", "Whose state it was.", controllerOf, "string"),
    column("Revision", "Grows with each new state.", ({ revision }) => revision),
    AGE_COLUMN,
  ],
  selectableFields: [],
  strategy: {
    ...PLAIN_STRATEGY,
    defaults: (object) => withZeroValues(controllerRevision, object),
    validateCreate: validate,
    validateUpdate: (object, old) => [
      ...validate(object),
      ...validateImmutable(object.data, old.data, "data"),
    ],
  },
};
