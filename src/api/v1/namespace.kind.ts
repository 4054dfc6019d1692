import { dnsLabelProblems } from "../../net/names.ts";
import { AGE_COLUMN, NAME_COLUMN } from "../machinery/cells.ts";
import { invalid } from "../machinery/field-error.ts";
import type { FieldError } from "../machinery/field-error.ts";
import type { KindDefinition } from "../machinery/kind.ts";
import { nameCheck } from "../machinery/name-formats.ts";
import { keepAllButStatus, keepStatus } from "../machinery/strategy.ts";
import { withZeroValues } from "../machinery/zero-values.ts";
import { namespace } from "./namespace.ts";
import type { Namespace } from "./namespace.ts";

/** Label by which selectors may name a Namespace; always its name. */
const NAME_LABEL = "kubernetes.io/metadata.name";
/** Held by the system until the Namespace is empty. */
const FINALIZER = "kubernetes";

function defaultNamespace(object: Namespace): Namespace {
  return withNameLabel(withZeroValues(namespace, object));
}

function withNameLabel(object: Namespace): Namespace {
  const { metadata } = object;
  if (metadata.name === "" || metadata.labels?.[NAME_LABEL] === metadata.name) return object;
  const labels = { ...metadata.labels, [NAME_LABEL]: metadata.name };
  return { ...object, metadata: { ...metadata, labels } };
}

function prepareForCreate(object: Namespace): Namespace {
  const finalizers = object.spec.finalizers ?? [];
  return {
    ...withNameLabel(object),
    spec: {
      ...object.spec,
      finalizers: finalizers.includes(FINALIZER) ? finalizers : [...finalizers, FINALIZER],
    },
    status: { phase: "Active" },
  };
}

function validateStatus(object: Namespace): readonly FieldError[] {
  const path = "status.Phase";
  const phase = object.status?.phase;
  const isDeleted = object.metadata.deletionTimestamp !== undefined;
  if (!isDeleted && phase !== "Active") {
    return [invalid(path, phase, "may only be 'Active' if `deletionTimestamp` is empty")];
  }
  if (isDeleted && phase !== "Terminating") {
    return [invalid(path, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")];
  }
  return [];
}

export const namespaceKind: KindDefinition<Namespace> = {
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  singular: "namespace",
  shortNames: ["ns"],
  categories: [],
  namespaced: false,
  schema: namespace,
  columns: [
    NAME_COLUMN,
    {
      name: "Status",
      type: "string",
      description: "Active or Terminating.",
      priority: 0,
      cell: (object) => object.status?.phase ?? "",
    },
    AGE_COLUMN,
  ],
  selectableFields: [{ path: "status.phase", value: (object) => object.status?.phase ?? "" }],
  strategy: {
    defaults: defaultNamespace,
    prepareForCreate,
    // Finalizers of the spec change only through the deletion of the Namespace.
    prepareForUpdate: (object, old) => ({ ...keepStatus(object, old), spec: old.spec }),
    prepareForStatusUpdate: keepAllButStatus,
    validateCreate: () => [],
    validateUpdate: () => [],
    validateStatusUpdate: validateStatus,
    nameProblems: nameCheck(dnsLabelProblems),
    createOnUpdate: false,
    unconditionalUpdate: true,
    generation: "none",
  },
};
